"""Tokenizers: nothing is lost, nothing is parsed that was only written, and what cannot be encoded is named."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from elboroom.core.errors import InputError
from elboroom.data.bpe import BORDER, LETTER_OF, Bpe, load_bpe, train_bpe
from elboroom.data.tokenizers import Byte, Char, check_name, tokenizer_from_json

library = pytest.importorskip("tokenizers")

PROSE = (
    "The lighthouse keeper climbed the stairs, lit the lamp, and wrote in the book: nothing to report.\n"
    "The ships went by; the keeper's lamp went round, and the night went on.\n\nDon't wait, they'd say, we'll see.\n"
) * 30
ODD = (
    "na\u00efve \u65e5\u672c e\u0301 \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f680 \x00\ttab \r\n end \ufffd "
    "<|endoftext|> 12345"
)


def made():
    """One tokenizer of each family, all of which know every character of ODD and PROSE."""
    return [
        Char("".join(sorted(set(PROSE + ODD))), end=True),
        Byte(end=True),
        train_bpe([PROSE], 400, end=True),
        train_bpe([PROSE], 400, end=False),
    ]


every_family = pytest.mark.parametrize("tokenizer", made(), ids=lambda t: f"{t.name}-{t.end is not None}")


@every_family
def test_the_bytes_of_the_tokens_are_the_text_in_utf_8(tokenizer):
    rng = random.Random(0)
    letters = sorted(set(PROSE + ODD))
    for text in ("", PROSE, ODD, *("".join(rng.choices(letters, k=50)) for _ in range(50))):
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int64
        assert tokenizer.decode(ids) == text
        assert b"".join(tokenizer.token_bytes(int(i)) for i in ids) == text.encode()
        assert tokenizer.byte_lengths[ids].sum() == len(text.encode())


@every_family
def test_no_text_contains_the_end_token_and_the_end_token_has_no_bytes(tokenizer):
    assert tokenizer.end not in tokenizer.encode(ODD).tolist()
    if tokenizer.end is not None:
        assert tokenizer.end == tokenizer.size - 1
        assert tokenizer.token_bytes(tokenizer.end) == b""
        assert tokenizer.decode([*tokenizer.encode("a"), tokenizer.end]) == "a"


@every_family
def test_a_tokenizer_kept_as_json_is_the_same_tokenizer(tokenizer):
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert (again.name, again.size, again.end) == (tokenizer.name, tokenizer.size, tokenizer.end)
    assert np.array_equal(again.encode(PROSE + ODD), tokenizer.encode(PROSE + ODD))
    assert again.to_json() == tokenizer.to_json()


@every_family
def test_the_pieces_of_a_text_have_the_tokens_of_the_text(tokenizer):
    pieces = list(tokenizer.pieces(PROSE + ODD, 100))
    assert len(pieces) > 20
    assert "".join(pieces) == PROSE + ODD
    assert np.array_equal(np.concatenate([tokenizer.encode(piece) for piece in pieces]), tokenizer.encode(PROSE + ODD))


@every_family
def test_half_a_character_decodes_to_a_replacement_and_a_wrong_id_is_refused(tokenizer):
    ids = tokenizer.encode("\u65e5")
    assert tokenizer.decode(ids[:-1]) in ("", "\ufffd")
    for i in (-1, tokenizer.size):
        with pytest.raises(InputError, match=f"tokens 0 to {tokenizer.size - 1}"):
            tokenizer.decode([i])


@every_family
def test_half_of_a_surrogate_pair_is_refused_as_no_character(tokenizer):
    with pytest.raises(InputError, match=r"'?U\+D83D'? \(2 times\)"):
        tokenizer.encode("a\ud83d b\ud83d")


def test_characters_are_numbered_in_the_order_of_their_code_points():
    tokenizer = Char.of(iter(["cab", "\u00e9b"]), end=False)
    assert tokenizer.characters == "abc\u00e9"
    assert tokenizer.encode("\u00e9cab").tolist() == [3, 2, 0, 1]
    assert tokenizer.end is None


def test_unknown_characters_are_listed_with_their_counts_and_a_way_out():
    tokenizer = Char("abc", end=False)
    with pytest.raises(InputError) as found:
        tokenizer.encode("ab\u00e9c\u00e9 \U0001f600")
    said = str(found.value)
    assert "no token for 3 characters of the text: '\u00e9' (2 times), ' ' (1 time), '\U0001f600' (1 time)" in said
    assert "--tokenizer byte" in said
    with pytest.raises(InputError, match="and 18 more"):
        tokenizer.encode("".join(map(chr, range(0x400, 0x41A))))


def learnt(environment):
    code = (
        "import sys, hashlib, json; from elboroom.data.bpe import train_bpe; text = sys.stdin.read();"
        "made = train_bpe([text[:3000], text[3000:]], 500, end=True).to_json();"
        "print(hashlib.sha256(json.dumps(made).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=PROSE + ODD,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_the_same_text_gives_the_same_merges_in_any_process_with_any_number_of_threads():
    one = learnt({"PYTHONHASHSEED": "1", "RAYON_NUM_THREADS": "1"})
    assert one == learnt({"PYTHONHASHSEED": "2", "RAYON_NUM_THREADS": "3"})


def slow_encode(tokenizer, text):
    """Byte-pair encoding as it is defined: in each word the earliest merge first, as often as any applies."""
    rank = {tuple(merge.split(" ")): i for i, merge in enumerate(tokenizer.merges)}
    ids = {token: i for i, token in enumerate(tokenizer.vocabulary)}
    out = []
    for word in re.findall(r"'(?:[st]|re|ve|m|ll|d)| ?[a-zA-Z]+| ?[^\sa-zA-Z]+|\s+(?!\S)|\s+", text):
        parts = [LETTER_OF[b] for b in word.encode()]
        while True:
            found = [(rank[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in rank]
            if not found:
                break
            i = min(found)[1]
            parts[i : i + 2] = ["".join(parts[i : i + 2])]
        out += [ids[part] for part in parts]
    return out


def test_byte_pair_encoding_applies_its_merges_in_the_order_they_were_learnt():
    tokenizer = train_bpe([PROSE], 450, end=False)
    assert tokenizer.encode(PROSE).tolist() == slow_encode(tokenizer, PROSE)
    rng = random.Random(1)
    for _ in range(200):
        text = "".join(rng.choices("the keprsl',.\n ", k=80))
        assert tokenizer.encode(text).tolist() == slow_encode(tokenizer, text)


def test_the_first_merges_join_the_most_frequent_pairs():
    tokenizer = train_bpe(["aaab aaab aaab cd"], 259, end=False)
    # pairs: aa 6, ab 3, " a" 2; then a|aa and aa|ab compete at 3 each
    assert tokenizer.merges[0] == "a a"
    assert tokenizer.name == "bpe:259"


def test_a_vocabulary_is_no_larger_than_the_text_gives_pairs_for():
    tokenizer = train_bpe(["abababab"], 5000, end=True)
    assert tokenizer.size < 265
    assert tokenizer.name == f"bpe:{tokenizer.size}"
    assert tokenizer.decode(tokenizer.encode(ODD)) == ODD, "bytes serve where no pair was learnt"


def test_a_word_of_many_thousand_characters_is_learnt_from_and_encoded_in_little_time():
    text = "ab" * 100_000
    tokenizer = train_bpe([text], 300, end=False)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) < len(text) / 4


# ---- from files ----------------------------------------------------------------------------------------------------


def published(folder, **changes):
    """A tokenizer as the library writes it, with an end-of-text token as GPT-2 has one."""
    learner = library.Tokenizer(library.models.BPE())
    learner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = library.trainers.BpeTrainer(
        vocab_size=350,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<pad>"],
        show_progress=False,
    )
    learner.train_from_iterator([PROSE], trainer=trainer)
    learner.add_special_tokens(["<|endoftext|>"])
    folder.mkdir(exist_ok=True)
    found = json.loads(learner.to_str())
    for key, value in changes.items():
        found[key] = value
    (folder / "tokenizer.json").write_text(json.dumps(found), encoding="utf-8")
    learner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return learner, found


def test_a_published_tokenizer_gives_the_tokens_of_its_library(tmp_path):
    learner, _ = published(tmp_path)
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        tokenizer = load_bpe(path, end=False)
        assert tokenizer.size == learner.get_vocab_size()
        assert tokenizer.encode(PROSE).tolist() == learner.encode(PROSE, add_special_tokens=False).ids
        assert tokenizer.end == learner.token_to_id("<|endoftext|>")
        assert tokenizer.token_bytes(learner.token_to_id("<pad>")) == b""


def test_vocab_and_merges_are_read_as_those_of_gpt_2_are_written(tmp_path):
    learner, found = published(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    vocabulary = {token: i for token, i in found["model"]["vocab"].items() if token != "<pad>"}
    (tmp_path / "vocab.json").write_text(json.dumps({**vocabulary, "<|endoftext|>": 350}), encoding="utf-8")
    merges = "\n".join(" ".join(pair) for pair in found["model"]["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    for path in (tmp_path, tmp_path / "vocab.json"):
        tokenizer = load_bpe(path, end=False)
        assert tokenizer.end == 350
        assert tokenizer.encode(PROSE).tolist() == learner.encode(PROSE, add_special_tokens=False).ids


def test_words_of_special_tokens_in_a_text_are_text(tmp_path):
    published(tmp_path)
    tokenizer = load_bpe(tmp_path, end=True)
    ids = tokenizer.encode("a <|endoftext|><pad> b")
    assert tokenizer.end not in ids.tolist()
    assert tokenizer.decode(ids) == "a <|endoftext|><pad> b"


def test_a_tokenizer_without_an_end_gets_one_where_documents_need_it(tmp_path):
    published(tmp_path, added_tokens=[])
    assert load_bpe(tmp_path, end=False).end is None
    tokenizer = load_bpe(tmp_path, end=True)
    assert tokenizer.end == tokenizer.size - 1


def test_the_words_encoded_once_have_the_tokens_of_the_whole_text():
    tokenizer = train_bpe([PROSE], 450, end=False)
    tokenizer.encode("")
    rng = random.Random(2)
    for letters in (" abZ'1.\n\t\u00e9\u00a0\r-", "ab \n", "a \n,.'s"):
        for _ in range(300):
            text = "".join(rng.choices(letters, k=40))
            assert tokenizer.encode(text).tolist() == tokenizer._library.encode(text).ids, repr(text)
    assert len(BORDER.split(PROSE)) > 500


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "changes the text before it is encoded"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "no byte-pair tokenizer on bytes"),
        ({"pre_tokenizer": None}, "no byte-pair tokenizer on bytes"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "no byte-pair tokenizer on bytes"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}, "no token for the byte"),
        ({"model": {"type": "BPE", "vocab": {"a": 2**60}, "merges": []}}, "ids reach"),
        ({"model": {"type": "BPE", "vocab": {"a": -5}, "merges": []}}, "ids reach"),
        ({"model": {"type": "BPE", "vocab": {"a": 5, "b": 5}, "merges": []}}, "gives the id 5"),
        ({"model": {"type": "BPE", "vocab": {"\u65e5": 5}, "merges": []}}, "not written in bytes"),
        ({"model": {"type": "BPE"}}, "no byte-pair tokenizer"),
        ({"model": [1, 2]}, "no byte-pair tokenizer"),
        ({"added_tokens": [7]}, "no byte-pair tokenizer"),
    ],
)
def test_a_file_that_is_no_such_tokenizer_is_refused_by_name(tmp_path, changes, said):
    published(tmp_path, **changes)
    with pytest.raises(InputError, match=said) as found:
        load_bpe(tmp_path, end=False)
    assert str(found.value).startswith(str(tmp_path / "tokenizer.json"))


def test_merges_of_tokens_that_do_not_exist_are_refused(tmp_path):
    _, found = published(tmp_path)
    published(tmp_path, model={**found["model"], "merges": [["zz", "qq"]]})
    with pytest.raises(InputError, match="merges"):
        load_bpe(tmp_path, end=False)


@pytest.mark.parametrize("content", [b"", b"[", b"[" * 100_000, b"\xff\xfe\x00", b"[]", b"3", b"{}", b'{"a": "b"}'])
def test_damaged_vocabularies_are_one_sentence(tmp_path, content):
    (tmp_path / "vocab.json").write_bytes(content)
    (tmp_path / "merges.txt").write_bytes(b"#version: 0.2\n")
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        load_bpe(tmp_path, end=False)


def test_a_folder_or_vocabulary_without_its_other_half_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"neither tokenizer\.json nor vocab\.json"):
        load_bpe(tmp_path, end=False)
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(InputError, match=r"no merges\.txt beside it"):
        load_bpe(tmp_path, end=False)


@pytest.mark.parametrize(
    "saved",
    [
        {"kind": "char"},
        {"kind": "char", "characters": "ba", "end": False},
        {"kind": "char", "characters": "", "end": False},
        {"kind": "char", "characters": 7, "end": False},
        {"kind": "bpe", "vocabulary": 5},
        {"kind": "words"},
        {},
    ],
)
def test_a_damaged_tokenizer_of_a_run_is_refused(saved):
    with pytest.raises(InputError, match="tokenizer"):
        tokenizer_from_json(saved)


def test_without_the_package_one_sentence_says_what_to_install_and_decoding_goes_on(monkeypatch):
    saved = train_bpe([PROSE], 300, end=False)
    ids = saved.encode(PROSE)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    again = Bpe.from_json(saved.to_json())
    assert again.decode(ids) == PROSE
    for call in (lambda: again.encode("a"), lambda: train_bpe([PROSE], 300, end=False)):
        with pytest.raises(InputError, match=re.escape("pip install 'elboroom[text]'")):
            call()


@pytest.mark.parametrize("name", ["bpe", "bpe:", "bpe:0", "bpe:255", "bpe:-5", "bpe:1e3", "bpe:nan", "bpe:99999999999"])
def test_a_wrong_size_of_vocabulary_is_refused_before_any_data_are_read(name):
    with pytest.raises(InputError, match=r"256 to 1,000,000, as in bpe:2000"):
        check_name(name)


def test_a_name_that_is_nothing_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(InputError, match="did you mean 'char'"):
        check_name("chars")
    for name in ("", "auto", "char", "byte", "bpe:256", "bpe:50257", str(tmp_path)):
        check_name(name)
