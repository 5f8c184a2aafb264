"""Texts: what they are read as, how they are split and tokenized, and what is said of those that are odd."""

from __future__ import annotations

import codecs
import json
import os
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from elboroom.cli.main import main
from elboroom.core.errors import InputError, Unable
from elboroom.core.spec import Spec
from elboroom.data import Reading, catalog, read, read_like, saved_tokenizer, transform_from_json
from elboroom.data.corpus import read_text
from elboroom.data.overlap import copied_share

ALL = Reading(split=(1, 0, 0))
SENTENCE = "The keeper lit the lamp, and the ships went by in the night.\n"
WORDS = [
    "keeper", "lamp", "ship", "night", "sea", "stairs", "book", "wind", "harbour", "light", "gull", "rope", "sail",
    "moon", "tide", "rock", "bell", "fog", "oar", "coast",
]  # fmt: skip


def prose(n, seed=0):
    """About n characters in which no passage of 50 comes twice."""
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS, n // 5 + 10))[:n]


def whole(data, part="train"):
    """The text of a part, end tokens and all left out."""
    return data.transform.tokenizer.decode(data.parts[part].tokens.tolist())


def written(folder, content, name="a.txt"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def run_of(source, reading=None):
    """What a run folder keeps: run.json's "data" and the transform built from it."""
    data = read(source, reading)
    saved = json.loads(json.dumps(data.to_json(), allow_nan=False))
    return data, saved, transform_from_json(saved["transform"])


# ---- what a model gets ---------------------------------------------------------------------------------------------


def test_the_spec_says_window_and_vocabulary_and_a_batch_is_tokens_as_int64(tmp_path):
    data = read(written(tmp_path, SENTENCE * 50), Reading(window=20))
    size = len(set(SENTENCE))
    assert data.spec == Spec(kind="text", shape=(20,), scale="tokens", levels=size)
    assert data.reading.tokenizer == "char"
    batch = data.transform(data.parts["train"].take(torch.tensor([0, 3])))
    assert batch.x.dtype == torch.int64
    assert batch.x.shape == (2, 21)
    assert data.transform.tokenizer.decode(batch.x[0].numpy()) == SENTENCE[:21]
    assert torch.equal(data.transform.undo(batch.x), batch.x)
    assert torch.equal(batch.x[0, 1:], torch.from_numpy(data.transform.tokenizer.encode(SENTENCE[1:21])))


def test_tiny_shakespeare_is_split_as_the_published_runs_split_it(real_data):
    data = read("tinyshakespeare", Reading(split=(0.9, 0.1, 0), window=64))
    assert data.text["parts"]["train"]["characters"] == 1_003_854
    assert data.text["parts"]["valid"]["characters"] == 111_540
    assert data.spec.levels == 65
    assert data.parts["train"].tokens.dtype == torch.uint8
    text = (real_data / "text" / "tinyshakespeare.txt").read_text()
    assert whole(data) == text[:1_003_854]
    assert whole(data, "valid") == text[1_003_854:]


def test_the_parts_of_one_text_lie_end_to_end_from_its_start(tmp_path):
    text = prose(4000)
    data = read(written(tmp_path, text))
    assert "".join(whole(data, part) for part in ("train", "valid", "test")) == text
    assert [len(whole(data, part)) for part in data.parts] == [3200, 400, 400]
    counted = read(written(tmp_path, text), Reading(split=(3000, 0, 500)))
    assert whole(counted) == text[:3000]
    assert whole(counted, "test") == text[3000:3500]
    assert list(counted.parts) == ["train", "test"]


@pytest.mark.parametrize("tokenizer", ["char", "byte", "bpe:300"])
def test_bytes_and_characters_of_each_part_are_those_of_its_text(tmp_path, tokenizer):
    text = prose(3000).replace("sea", "\u00e9t\u00e9").replace("ship", "\u65e5\u672c")
    data = read(written(tmp_path, text), Reading(tokenizer=tokenizer))
    for part, count in data.text["parts"].items():
        tokens = data.parts[part].tokens
        lengths = data.transform.tokenizer.byte_lengths[tokens.numpy()]
        assert count["characters"] == len(whole(data, part))
        assert count["bytes"] == len(whole(data, part).encode()) == lengths.sum()
        assert count["tokens"] == len(tokens)


def test_tokens_take_the_smallest_type_that_holds_the_vocabulary(tmp_path):
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    assert read([prose(500)], Reading(tokenizer="byte")).parts["train"].tokens.dtype == torch.uint8
    assert read([prose(500)] * 2, Reading(tokenizer="byte")).parts["train"].tokens.dtype == torch.int16
    assert read([many * 3], Reading(tokenizer="char", split=(1, 0, 0))).parts["train"].tokens.dtype == torch.int16
    wide = "".join(map(chr, range(0x10000, 0x18001)))
    assert read([wide], Reading(tokenizer="char", split=(1, 0, 0))).parts["train"].tokens.dtype == torch.int32


# ---- which tokenizer, which window ---------------------------------------------------------------------------------


def test_characters_serve_where_they_are_few_and_the_choice_is_told(tmp_path):
    data = read(written(tmp_path, prose(2000)))
    assert data.reading.tokenizer == "char"
    assert any(said.startswith("tokenizer char: 21 different characters") for said in data.problems)


def test_bytes_serve_where_characters_are_many_or_new_in_the_held_out_text(tmp_path):
    many = "".join(map(chr, range(0x400, 0x500))) + prose(2000)
    data = read(written(tmp_path, many))
    assert data.reading.tokenizer == "byte"
    assert any("more than 256" in said for said in data.problems)
    data = read(written(tmp_path, prose(2000) + "$100"))
    assert data.reading.tokenizer == "byte"
    assert any("characters that training never sees ('$', '0', '1')" in said for said in data.problems)


def test_characters_asked_for_are_those_of_the_training_part_and_others_are_refused(tmp_path):
    path = written(tmp_path, prose(2000) + "$100")
    with pytest.raises(InputError, match=r"a\.txt: the tokenizer char has no token for 3 .*'0' \(2 times\)"):
        read(path, Reading(tokenizer="char"))
    assert read(path, Reading(tokenizer="char", split=(1, 0, 0))).spec.levels == 24


def test_merges_are_learnt_from_the_training_part_alone(tmp_path):
    text = prose(3000) + "zqzq " * 400
    data = read(written(tmp_path, text), Reading(tokenizer="bpe:400", split=(3000, 1000, 0)))
    assert not any("z" in token for token in data.transform.tokenizer.vocabulary if len(token) > 1)
    assert whole(data, "valid") == text[3000:4000]


def test_the_window_is_256_or_what_fits_into_the_shortest_part(tmp_path):
    assert read(written(tmp_path, prose(9000))).spec.shape == (256,)
    data = read(written(tmp_path, prose(1000)))
    assert data.spec.shape == (99,)
    assert any("window 99: the valid part has only 100 tokens" in said for said in data.problems)
    assert all(len(part) for part in data.parts.values())
    tiny = read(written(tmp_path, prose(60)))
    assert tiny.spec.shape == (8,)
    assert tiny.parts["valid"].window == 5
    assert len(tiny.parts["valid"]) == 1


def test_a_window_larger_than_the_training_part_is_refused_and_a_short_held_out_part_gets_its_own(tmp_path):
    path = written(tmp_path, prose(1000))
    with pytest.raises(InputError, match="--window 800: takes 801 tokens and the training part has 800"):
        read(path, Reading(window=800))
    data = read(path, Reading(window=799))
    assert len(data.parts["train"]) == 1
    assert data.parts["valid"].window == 99
    assert any("valid part has only 100 tokens" in said for said in data.problems)


# ---- several documents ---------------------------------------------------------------------------------------------


def test_documents_are_joined_by_the_end_token_which_one_text_has_not(tmp_path):
    documents = [f"{i}: {prose(80, i)}" for i in range(30)]
    data = read(documents, Reading(window=16))
    end = data.transform.tokenizer.end
    assert end is not None
    for part, rows in data.parts.items():
        tokens = rows.tokens.numpy()
        borders = np.flatnonzero(tokens == end)
        assert borders[0] == 0
        assert borders[-1] == len(tokens) - 1
        texts = [data.transform.tokenizer.decode(tokens[a + 1 : b]) for a, b in pairwise(borders)]
        assert set(texts) <= set(documents), "whole documents"
        assert len(texts) == data.text["parts"][part]["documents"]
    assert sorted(p["documents"] for p in data.text["parts"].values()) == [3, 3, 24]
    assert read(["".join(documents)]).transform.tokenizer.end is None


def test_whole_documents_go_to_the_parts_by_the_seed():
    documents = [f"{i}: {prose(80, i)}" for i in range(30)]
    one, same, other = (read(documents, seed=seed) for seed in (0, 0, 1))
    assert whole(one) == whole(same) != whole(other)
    assert "whole documents at random by seed 0" in one.split_how
    counts = read(documents, Reading(split=(20, 4, 6))).text["parts"]
    assert {part: count["documents"] for part, count in counts.items()} == {"train": 20, "valid": 4, "test": 6}
    with pytest.raises(InputError, match="asks for 31 documents and the data have 30"):
        read(documents, Reading(split=(20, 5, 6)))


def test_of_a_few_documents_none_is_held_out_whole_and_a_cut_is_no_end():
    documents = [prose(500, 0), prose(400, 1), prose(100, 2)]
    data = read(documents, Reading(tokenizer="char"))
    train, end = data.parts["train"].tokens.tolist(), data.transform.tokenizer.end
    assert [i for i, token in enumerate(train) if token == end] == [0, 501]
    assert data.parts["test"].tokens[0] == end, "the third document begins here"
    assert data.parts["test"].tokens[-1] == end
    assert "".join(whole(data, part) for part in data.parts) == "".join(documents)


def test_a_folder_is_one_document_a_file_in_the_order_of_names_and_the_rest_is_counted(tmp_path):
    for name in ("b.txt", "a.md", "sub/c.py", ".hidden.txt", ".git/d.txt"):
        (tmp_path / "books" / name).parent.mkdir(parents=True, exist_ok=True)
        written((tmp_path / "books" / name).parent, f"{name} {SENTENCE}", name.rpartition("/")[2])
    (tmp_path / "books" / "sound.wav").write_bytes(b"RIFF\x00\x00")
    (tmp_path / "books" / "empty.txt").touch()
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "books" / "link.txt").symlink_to(tmp_path / "outside.txt")
    data = read(tmp_path / "books", ALL)
    assert whole(data) == "".join(f"{name} {SENTENCE}" for name in ("a.md", "b.txt", "sub/c.py"))
    assert data.text["documents"] == 3
    assert data.name == "books"
    assert "files that hold no text, skipped: 1 (sound.wav)" in data.problems
    with pytest.raises(InputError, match="--strict refuses them"):
        read(tmp_path / "books", Reading(split=(1, 0, 0), strict=True))


def test_a_folder_of_code_is_text_when_asked_for_and_of_pictures_it_is_not(tmp_path):
    from PIL import Image

    written(tmp_path / "code", SENTENCE, "a.py")
    with pytest.raises(InputError, match="no images in this folder"):
        read(tmp_path / "code")
    assert read(tmp_path / "code", Reading(kind="text")).spec.kind == "text"
    written(tmp_path / "pictures", SENTENCE, "README.txt")
    for i in range(4):
        Image.new("L", (8, 8), i).save(tmp_path / "pictures" / f"{i}.png")
    assert read(tmp_path / "pictures").spec.kind == "images"


# ---- how files are written -----------------------------------------------------------------------------------------

LATIN = "The \u00e9clair of Zo\u00eb: na\u00efve, 5 \u20ac.\n" * 20


@pytest.mark.parametrize(
    "content",
    [
        LATIN.encode(),
        codecs.BOM_UTF8 + LATIN.encode(),
        LATIN.encode("utf-16"),
        codecs.BOM_UTF16_BE + LATIN.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + LATIN.encode("utf-32-le"),
        LATIN.encode("cp1252"),
    ],
)
def test_the_same_words_in_any_encoding_are_the_same_text(tmp_path, content):
    data = read(written(tmp_path, content), ALL)
    assert whole(data) == LATIN
    assert data.fingerprint == read([LATIN], ALL).fingerprint
    guessed = content == LATIN.encode("cp1252")
    assert any("not UTF-8 (the first at byte 4): read as Windows-1252" in said for said in data.problems) == guessed


@pytest.mark.parametrize(
    ("content", "text", "said"),
    [
        (b"\xe9clair \x81 " * 9, "\xe9clair \x81 " * 9, "read as Latin-1"),
        (
            LATIN.encode()[: LATIN.encode().rindex("\u20ac".encode()) + 1],
            LATIN[: LATIN.rindex("\u20ac")],
            "ends within",
        ),
        (LATIN.encode() + b"\xff" + LATIN.encode(), LATIN + "\ufffd" + LATIN, "no UTF-8, replaced by U+FFFD: 1"),
        (codecs.BOM_UTF16_LE + "sea \ud800 fog".encode("utf-16-le", "surrogatepass") * 4, None, "UTF-16-LE, replaced"),
        (b"one line\r\ntwo lines\r\n", "one line\r\ntwo lines\r\n", "CR LF, as on Windows, kept as they are: 2"),
        (b"a\x0bb\x1bc\x7f\xe2\x80\x8f\xd7\xa9\xe2\x80\x8d ok ok", "a\x0bb\x1bc\x7f\u200f\u05e9\u200d ok ok", "char"),
    ],
)
def test_what_had_to_be_guessed_or_replaced_is_told(tmp_path, content, text, said):
    data = read(written(tmp_path, content), ALL)
    assert text is None or whole(data) == text
    assert any(said in problem for problem in data.problems), data.problems


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (codecs.BOM_UTF8, "holds no text, only blank space"),
        (b" \n\t\r\n " * 100, "holds no text, only blank space"),
        (b"x", "1 character cannot be split"),
        (b"some words", "too short"),
        (b"text and \x00 then more text\n" * 9, "NUL bytes"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "NUL bytes"),
        ("no mark".encode("utf-16-le") * 9, "UTF-16 without its mark"),
    ],
)
def test_what_is_no_text_to_train_on_is_refused_in_one_sentence(tmp_path, content, said):
    with pytest.raises(InputError, match=said) as found:
        read(written(tmp_path, content))
    assert "\n" not in str(found.value)


def test_a_device_or_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        read(tmp_path / "pipe.txt")


def test_one_line_of_two_megabytes_is_a_text_like_any_other(tmp_path):
    text = "ACGT" * 250_000 + "TTGACA" * 170_000
    data = read(written(tmp_path, text), Reading(split=(1, 0, 0), window=100))
    assert len(data.parts["train"].tokens) == len(text)
    assert data.spec.levels == 4


# ---- lines and columns ---------------------------------------------------------------------------------------------


def lines(folder, rows, name="a.jsonl"):
    return written(folder, "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), name)


def test_each_line_of_a_jsonl_is_a_document(tmp_path):
    texts = [f"{i} {prose(60, i)}" for i in range(12)]
    expected = read(texts, ALL).fingerprint
    for rows in (
        [{"text": t, "other": "x"} for t in texts],
        [{"body": t, "n": 3} for t in texts],
        [json.dumps(t) + "\r\n" for t in texts],
        [{"text": t} for t in [texts[0], " ", "", *texts[1:]]],
    ):
        assert read(lines(tmp_path, rows), ALL).fingerprint == expected
    named = lines(tmp_path, [{"question": "why", "answer": t} for t in texts])
    assert read(named, Reading(split=(1, 0, 0), columns=("answer",))).fingerprint == expected
    with pytest.raises(InputError, match=r"several fields hold text \('question', 'answer'\); .*--columns"):
        read(named)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "a"}, "{broken\n"], "line 2 is no JSON"),
        ([{"text": "a"}, "[1, 2]\n"], "line 2 holds list"),
        ([{"text": "a"}, {"txt": "b"}], "line 2 has no field 'text'; did you mean 'txt'"),
        ([{"text": "a"}, {"text": 7}], "line 2, field 'text': holds int"),
        ([{"n": 7}], "no field that holds text"),
        (["[" * 100_000 + "\n"], "line 1"),
        (["\n\n"], "holds no text"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        read(lines(tmp_path, rows))


def test_halves_of_characters_from_json_are_replaced_and_counted_or_refused(tmp_path):
    path = lines(
        tmp_path, [f'{{"text": "{prose(100)} \\ud83d end"}}\n', f'{{"text": "{prose(100)} \\ud83d\\ude00"}}\n']
    )
    data = read(path, ALL)
    assert "halves of characters (lone surrogates), replaced by U+FFFD: 1" in data.problems
    assert "\U0001f600" in whole(data)
    with pytest.raises(InputError, match=r"1 halves of characters .* --strict"):
        read(path, Reading(strict=True))


def test_a_column_of_a_table_is_text_when_asked_for(tmp_path):
    texts = [f'{i}, "quoted"\n  two lines {prose(60, i)} ' for i in range(12)]
    cells = "".join('{},"{}"\n'.format(i, t.replace('"', '""')) for i, t in enumerate(texts))
    path = written(tmp_path, "n,review\n" + cells, "a.csv")
    data = read(path, Reading(kind="text", columns=("review",), split=(1, 0, 0)))
    assert data.fingerprint == read(texts, ALL).fingerprint
    with pytest.raises(InputError, match="no column 'reviews'; did you mean 'review'"):
        read(path, Reading(kind="text", columns=("reviews",)))
    assert read(path).spec.kind == "table"


def test_texts_from_memory_are_documents():
    texts = [f"{i}\x00{prose(60, i)}" for i in range(12)]
    expected = read(texts, ALL)
    assert expected.spec.kind == "text"
    assert expected.source == ""
    assert read(np.array(texts), ALL).fingerprint == expected.fingerprint
    pandas = pytest.importorskip("pandas")
    assert read(pandas.Series(texts, index=range(5, 17)), ALL).fingerprint == expected.fingerprint
    with pytest.raises(InputError, match="item 12 is int among texts"):
        read([*texts, 3])
    with pytest.raises(InputError, match="texts carry no labels"):
        read((texts, np.arange(12)))
    with pytest.raises(InputError, match="these data are read as text"):
        read(texts, Reading(kind="images"))


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(scale="unit"), "--scale"),
        (Reading(label="y"), "--label"),
        (Reading(size=(8, 8)), "--size"),
        (Reading(group_by="g"), "--group-by"),
        (Reading(period=4), "--period"),
        (Reading(columns=("text",)), "--columns text"),
        (Reading(columns=("a", "b"), kind="text"), "--columns a,b"),
        (Reading(split=(0.9, 0.2, 0)), "more than 1"),
        (Reading(split=(9000, 0, 0)), "asks for 9,000 characters"),
    ],
)
def test_a_flag_that_means_nothing_for_text_is_refused(tmp_path, reading, said):
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, prose(1000)), reading)


def test_flags_of_text_mean_nothing_elsewhere():
    for reading in (Reading(tokenizer="char"), Reading(window=3)):
        with pytest.raises(InputError, match=r"means nothing for table"):
            read(np.random.default_rng(0).normal(size=(40, 3)), reading)
    with pytest.raises(InputError, match="--window -1"):
        Reading(window=-1)
    with pytest.raises(Unable, match="images, table and text can"):
        read([SENTENCE], Reading(kind="pages"))


# ---- copies --------------------------------------------------------------------------------------------------------


def test_held_out_text_that_stands_in_the_training_part_is_told_with_its_share(tmp_path):
    fresh = prose(4000)
    data = read(written(tmp_path, fresh + fresh[1000:1800] + prose(200, 9)))
    assert any("79% of the held-out text stands word for word" in said for said in data.problems), data.problems
    assert not any("word for word" in said for said in read(written(tmp_path, fresh)).problems)


def test_the_copied_share_is_that_of_the_passages_at_any_place_and_ignores_rules_and_blanks():
    train, fresh = prose(20_000), prose(5000, 1)
    assert copied_share([train], [fresh]) == 0
    assert copied_share([train], [train[313:5313]]) == 1
    assert copied_share([train[:10_000], train[10_000:]], [fresh[:2500] + train[777:3277]]) == pytest.approx(
        0.5, abs=0.02
    )
    assert copied_share([train + "-" * 900 + " " * 900], ["-" * 500 + " " * 500]) == 0
    assert copied_share([train], []) == copied_share([], [fresh]) == copied_share([train], ["short"]) == 0


# ---- new text for a run, and going on -------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", ["", "char", "byte", "bpe:300"])
def test_the_text_of_the_run_read_again_has_the_tokens_of_the_run(tmp_path, tokenizer):
    path = written(tmp_path, prose(3000))
    data, saved, transform = run_of(path, Reading(tokenizer=tokenizer, window=40))
    again = read_like(path, saved, transform)
    assert list(again.parts) == ["all"]
    assert again.fingerprint == data.fingerprint
    assert again.spec == data.spec
    assert whole(again, "all") == prose(3000)
    assert again.parts["all"].window == 40
    resumed = read(path, Reading.from_json(saved["reading"]), tokenizer=saved_tokenizer(saved))
    assert resumed.to_json() == {**data.to_json(), "problems": resumed.problems}
    assert all(torch.equal(resumed.parts[part].tokens, data.parts[part].tokens) for part in data.parts)


def test_new_text_may_be_short_or_many_but_not_of_unknown_characters(tmp_path):
    _, saved, transform = run_of(written(tmp_path, prose(3000)))
    short = read_like(["keeper"], saved, transform)
    assert short.parts["all"].window == 5
    assert len(short.parts["all"]) == 1
    many = read_like(["keeper", "lamp"], saved, transform)
    assert any("no end-of-text token: 2 documents" in said for said in many.problems)
    assert whole(many, "all") == "keeperlamp"
    with pytest.raises(InputError, match=r"no token for 2 characters of the text: 'Q' \(2 times\), '\?'"):
        read_like(["Q", "is Q?"], saved, transform)
    with pytest.raises(InputError, match="none to predict"):
        read_like(["k"], saved, transform)
    with pytest.raises(InputError, match="the run needs text"):
        read_like(np.zeros((20, 3)), {**saved, "reading": {**saved["reading"], "kind": "auto"}}, transform)


def test_new_text_in_several_documents_is_joined_as_the_run_was(tmp_path):
    documents = [f"{i}: {prose(80, i)}" for i in range(12)]
    data, saved, transform = run_of(
        lines(tmp_path, [{"say": text, "by": 1} for text in documents]), Reading(columns=("say",))
    )
    end = data.transform.tokenizer.end
    new = read_like(documents[:2], saved, transform).parts["all"].tokens.tolist()
    assert [new[0], new[-1], new.count(end)] == [end, end, 3]
    assert end not in read_like(documents[:1], saved, transform).parts["all"].tokens.tolist()
    assert read_like(written(tmp_path, documents[0]), saved, transform).text["documents"] == 1


def test_going_on_needs_neither_the_file_of_the_tokenizer_nor_another_training_of_it(tmp_path):
    learnt = read([prose(3000)], Reading(tokenizer="bpe:300")).transform.tokenizer
    place = tmp_path / "mine"
    vocabulary = {token: i for i, token in enumerate(learnt.vocabulary)}
    written(place, json.dumps(vocabulary), "vocab.json")
    written(place, "\n".join(learnt.merges), "merges.txt")
    path = written(tmp_path, prose(2000, 5))
    data, saved, _ = run_of(path, Reading(tokenizer=str(place), window=30))
    for file in ("vocab.json", "merges.txt"):
        (place / file).unlink()
    resumed = read(path, Reading.from_json(saved["reading"]), tokenizer=saved_tokenizer(saved))
    assert resumed.fingerprint == data.fingerprint
    other = read(written(tmp_path, prose(900, 6)), tokenizer=saved_tokenizer(saved))
    assert other.transform.tokenizer.to_json() == learnt.to_json()
    with pytest.raises(InputError, match="--tokenizer char: the run that this goes on from has the tokenizer bpe:300"):
        read(path, Reading(tokenizer="char"), tokenizer=saved_tokenizer(saved))
    with pytest.raises(InputError, match="trained on text"):
        read(np.random.default_rng(0).normal(size=(40, 3)), tokenizer=saved_tokenizer(saved))


def test_another_text_or_another_tokenizer_is_another_fingerprint():
    prints = {
        read(texts, Reading(split=(1, 0, 0), tokenizer=tokenizer)).fingerprint
        for texts in ([prose(900)], [prose(901)], [prose(450), prose(900)[450:]])
        for tokenizer in ("char", "byte")
    }
    assert len(prints) == 6


# ---- named sets and the command line --------------------------------------------------------------------------------


def test_pydocs_is_the_documentation_of_this_python_and_imports_nothing_of_it():
    before = set(sys.modules)
    data = read("pydocs")
    assert {"antigravity", "this", "turtle", "idlelib", "cgi"} & (set(sys.modules) - before) == set()
    assert data.spec.kind == "text"
    assert 1_000_000 < data.text["characters"] < 3_000_000
    assert data.text["documents"] > 300
    assert not any("word for word" in said for said in data.problems)
    assert f"this is the documentation of Python {sys.version.split()[0]}" in " ".join(data.problems)
    text = whole(data) + whole(data, "valid") + whole(data, "test")
    assert "Support for regular expressions (RE)." in text
    assert read("pydocs").fingerprint == data.fingerprint


def test_a_named_text_that_is_nowhere_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ELBOROOM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = []

    def no_network(address, **how):
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(InputError, match=r"put grimm\.txt into .*text"):
        read("grimm")
    assert asked[0].endswith("assets/book_EN_grimms_fairy_tails.txt"), "the file has another name there"
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "grimm.txt").write_text("another")
    with pytest.raises(InputError, match="SHA-256 differs"):
        read("grimm")


def test_the_named_texts_are_those_of_the_catalogue(real_data):
    assert {e.name for e in catalog.CATALOG.values() if e.kind == "text"} == {
        "pydocs",
        "tinyshakespeare",
        "grimm",
        "names",
    }
    grimm = read("grimm")
    assert grimm.text["characters"] == 540_240
    assert not whole(grimm).startswith("\ufeff")
    assert read("names").spec.levels == 27


def test_elboroom_data_says_what_a_text_is_read_as(tmp_path, capsys):
    folder = tmp_path / "books"
    for i in range(12):
        written(folder, prose(300, i), f"{i:02d}.txt")
    assert main(["data", str(folder), "--tokenizer", "byte", "--window", "50"]) == 0
    said = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert said["kind"] == "text"
    assert said["documents"] == "12"
    assert said["characters"] == said["bytes"] == "3,600"
    assert said["tokens"] == "3,615 (train 3,011, valid 302, test 302)"
    assert (said["tokenizer"], said["vocabulary"], said["window"]) == ("byte", "257", "50 tokens")
    assert said["split"].startswith("train 60, valid 6, test 6 windows (whole documents at random by seed 0")
    assert main(["data", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["text"]["parts"]["valid"]["documents"] == 1
    assert main(["data", str(folder), "--tokenizer", "bpe:7"]) == 2
    assert "bpe:2000" in capsys.readouterr().err


def test_a_field_called_text_is_the_text_though_the_first_line_has_none(tmp_path):
    found = read_text(lines(tmp_path, [{"title": "T1", "text": None}, {"title": "T2", "text": "the long story"}]))
    assert found.documents == ["the long story"]


def test_a_table_of_nothing_but_a_byte_order_mark_is_empty(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8)
    with pytest.raises(InputError, match="is empty"):
        read_text(path)
