"""Documents as counts of words: what is a document, what is a word, which words are columns, and runs on them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import elboroom as elbo
from elboroom.cli.main import main
from elboroom.core.errors import InputError, Unable
from elboroom.data import Reading, read, read_like, transform_from_json
from elboroom.data.content import Csr
from elboroom.data.documents import counted, paragraphs, words
from elboroom.data.rows import Sparse
from elboroom.data.source import Dataset

ASKED = Reading(kind="documents")
TALE = "There was.\n\nThe king’s GARDEN had a tree;\r\n \r\nthe king said:\ncount 7 apples!\n\n* * *\n\n\nA KING\n"


def tales(n: int, seed: int = 0) -> list[str]:
    """Documents of two kinds: of the sea and of the wood."""
    rng = np.random.default_rng(seed)
    kinds = ["ship sea gull rope tide sail", "tree wolf moss path deer fern"]
    return [" ".join(rng.choice(kinds[i % 2].split(), 12)) + " the and the" for i in range(n)]


def cells(data: Dataset, part: str) -> np.ndarray:
    rows = data.parts[part]
    found: np.ndarray = data.transform(rows.take(torch.arange(len(rows)))).x.numpy()
    return found


def test_paragraphs_lie_between_blank_lines_and_hold_a_word() -> None:
    assert [part.split()[0] for part in paragraphs(TALE)] == ["There", "The", "the", "A"]


def test_a_word_is_letters_in_lower_case_with_apostrophes_inside_and_no_digits() -> None:
    assert words("The king’s 7 APPLES don't—naïve 'quoted' x2y") == [
        "the", "king's", "apples", "don't", "naïve", "quoted", "x", "y"
    ]  # fmt: skip


def test_each_cell_is_how_often_its_columns_word_stands_in_its_document() -> None:
    texts = tales(7)
    vocabulary = sorted({word for text in texts[:4] for word in text.split()})
    table, unknown = counted(texts, vocabulary)
    for text, row in zip(texts, table.dense(), strict=True):
        found = Counter(text.split())
        assert row.tolist() == [found[word] for word in vocabulary]
    assert unknown == sum(word not in vocabulary for text in texts for word in text.split())
    assert np.all(table.data > 0)


def test_columns_are_the_words_of_the_training_part_the_commonest_first_and_the_table_stays_sparse() -> None:
    texts = [*tales(60), "unheard zebra " * 3]
    data = read(texts, ASKED, seed=3)
    train = data.parts["train"].index
    seen = Counter(word for i in train for word in texts[i].split())
    names = [column.name for column in data.spec.columns]
    assert names == sorted(seen, key=lambda word: (-seen[word], word))
    assert names[0] == "the"
    assert {column.kind for column in data.spec.columns} == {"count"}
    assert (data.spec.kind, data.spec.scale, data.reading.kind) == ("table", "counts", "documents")
    assert all(isinstance(rows, Sparse) for rows in data.parts.values())
    for part, rows in data.parts.items():
        want = [[Counter(texts[i].split())[name] for name in names] for i in rows.index]
        assert cells(data, part).tolist() == want, part


def test_words_that_only_held_out_documents_hold_are_left_out_and_counted() -> None:
    texts = tales(40)
    held = read(texts, ASKED, seed=0).parts["test"].index
    texts[held[0]] = "zebra zebra the"
    texts[held[1]] = "zebra"
    data = read(texts, ASKED, seed=0)
    assert "zebra" not in {column.name for column in data.spec.columns}
    assert any(said.startswith("words that are no column, left out: 3 of ") for said in data.problems)
    assert any(said.endswith("all 0: 1") for said in data.problems)


def test_new_documents_are_counted_by_the_words_of_the_run() -> None:
    data = read(tales(40), ASKED)
    saved = json.loads(json.dumps(data.to_json()))
    new = read_like(["the the zebra", *tales(3, seed=9)], saved, transform_from_json(saved["transform"]))
    assert new.spec == data.spec
    names = [column.name for column in data.spec.columns]
    first = cells(new, "all")[0]
    assert first[names.index("the")] == 2 and first.sum() == 2
    with pytest.raises(InputError, match="none of its 1 documents holds a word that is a column"):
        read_like(["zebra"], saved, transform_from_json(saved["transform"]))


def test_labels_come_from_a_column_and_keep_the_runs_numbering(tmp_path: Path) -> None:
    rows = [{"story": text, "of": ("sea", "wood")[i % 2]} for i, text in enumerate(tales(40))]
    path = tmp_path / "tales.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = read(path, Reading(kind="documents", label="of", columns=("story",)))
    assert data.spec.classes == ("sea", "wood")
    labels = data.parts["train"].label
    assert labels is not None and labels.tolist() == [i % 2 for i in data.parts["train"].index]
    saved = json.loads(json.dumps(data.to_json()))
    path.write_text(json.dumps(rows[1]) + "\n", encoding="utf-8")
    again = read_like(path, saved, transform_from_json(saved["transform"])).parts["all"]
    assert again.label is not None and again.label.tolist() == [1]
    path.write_text(json.dumps({"story": rows[0]["story"], "of": "moon"}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="the label 'moon' is none that the run knows"):
        read_like(path, saved, transform_from_json(saved["transform"]))


@pytest.mark.parametrize(
    ("source", "reading", "said"),
    [
        (tales(30), Reading(kind="documents", tokenizer="char"), "--tokenizer means nothing for documents"),
        (tales(30), Reading(kind="documents", size=(2, 2)), "--size means nothing for documents"),
        (np.zeros((5, 2)), ASKED, "documents are a list of texts"),
        (["12 34", "5"] * 10, ASKED, "holds no word"),
        (["one"], ASKED, "1 document"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_one_sentence(source: object, reading: Reading, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(source, reading)


def test_files_of_a_folder_are_documents_and_a_label_needs_a_column(tmp_path: Path) -> None:
    for i, text in enumerate(tales(20)):
        (tmp_path / f"{i:02d}.txt").write_text(text.replace(" ", "\n\n", 2), encoding="utf-8")
    data = read(tmp_path, ASKED)
    assert sum(len(rows) for rows in data.parts.values()) == 20
    with pytest.raises(InputError, match="labelled documents lie in a"):
        read(tmp_path, Reading(kind="documents", label="of"))


def test_an_unknown_kind_names_those_that_can_be_read() -> None:
    with pytest.raises(Unable, match="documents, series, sequences, images, table and text can"):
        read(tales(3), Reading(kind="video"))


def test_the_same_documents_have_the_same_fingerprint_and_other_counts_another() -> None:
    one, two = read(tales(30), ASKED), read(tales(30), ASKED)
    assert one.fingerprint == two.fingerprint != read(tales(30, seed=5), ASKED).fingerprint


def test_the_command_line_trains_on_a_text_by_paragraph_and_encodes_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "tales.txt"
    path.write_text("\n\n".join(tales(80)), encoding="utf-8")
    run = tmp_path / "run"
    words_ = ["--kind", "documents", "--latent", "2", "--hidden", "16", "--steps", "40", "--threads", "1"]
    assert main(["fit", "vae", str(path), *words_, "--run", str(run)]) == 0
    opened = elbo.load(run)
    assert type(opened.model.head).__name__ == "NegativeBinomialHead"
    assert set(opened.metrics) >= {"bits_per_dim", "trustworthiness", "r2"}
    out = tmp_path / "codes.csv"
    new = tmp_path / "new.txt"
    new.write_text("the ship and the sea\n\nthe wolf", encoding="utf-8")
    assert main(["encode", str(run), str(new), "--out", str(out)]) == 0
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("begins,") and lines[1].startswith("the ship and the sea,") and len(lines) == 3
    assert opened.encode(["the ship and the sea", "the wolf"]).shape == (2, 2)


def test_grimms_tales_by_paragraph_have_more_than_4000_words(real_data: Path) -> None:
    data = read(real_data / "text" / "grimm.txt", ASKED)
    assert len(data.spec.columns) > 4000
    assert sum(len(rows) for rows in data.parts.values()) > 1000
    first = data.parts["train"]
    assert isinstance(first, Sparse) and isinstance(first.csr, Csr)
    assert first.csr.nbytes < 2**20 < len(first) * len(data.spec.columns)
