"""What of a text stands in another: exact lengths, inside a piece only, beside unseen text of equal length."""

from __future__ import annotations

import numpy as np
import pytest

from elboroom.metrics.memorisation import LEAST, LONG, copying, equal_sets, is_copied, match_lengths


def letters(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def brute(pieces: list[np.ndarray], train: np.ndarray) -> list[int]:
    whole, found = train.tobytes(), []
    for piece in pieces:
        text = piece.tobytes()
        for i in range(len(text)):
            best = 0
            for length in range(LEAST, len(text) - i + 1):
                if text[i : i + length] not in whole:
                    break
                best = length
            found.append(best)
    return found


@pytest.mark.parametrize("letters_used", [2, 3, 8])
def test_lengths_equal_a_search_of_every_substring(letters_used: int) -> None:
    rng = np.random.default_rng(letters_used)
    train = rng.integers(97, 97 + letters_used, 3000).astype(np.uint8)
    pieces = [rng.integers(97, 97 + letters_used, n).astype(np.uint8) for n in (60, 7, 0, 8, 100)]
    pieces.append(np.concatenate([train[100:180], train[2990:], train[:20]]))
    assert match_lengths(pieces, train).tolist() == brute(pieces, train)


def test_a_copy_never_reaches_over_the_end_of_a_piece() -> None:
    train = letters("the quick brown fox jumps over the lazy dog")
    whole = match_lengths([train], train)
    cut = match_lengths([train[:20], train[20:]], train)
    assert whole[0] == len(train) and cut[0] == 20 and cut[20] == len(train) - 20


def test_texts_too_short_to_hold_a_match_have_none() -> None:
    assert not match_lengths([letters("abc")], letters("abc" * 9)).any()
    assert not match_lengths([letters("abcdefghij")], letters("abc")).any()
    assert match_lengths([], letters("abc" * 9)).size == 0


def test_a_training_text_of_several_chunks_is_searched_over_their_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(97, 123, 5000).astype(np.uint8)
    pieces = [train[990:1040], train[1996:2030]]
    wanted = match_lengths(pieces, train)
    monkeypatch.setattr("elboroom.metrics.memorisation.CHUNK", 1000)
    np.testing.assert_array_equal(match_lengths(pieces, train), wanted)
    assert wanted[0] == 50 and wanted[50] == 34


def test_the_longest_copy_is_shown_in_characters_of_any_script() -> None:
    train = letters("und ein Mädchen über größere Brücken führte, sagte sie")
    piece = letters("Nur ein Mädchen über größere Wälder")
    found = copying([letters("nothing of it"), piece], match_lengths([letters("nothing of it"), piece], train))
    assert found.span == " ein Mädchen über größere "
    assert found.longest == len(found.span)
    assert found.where == (1, 3)


def test_a_text_that_is_all_copied_has_the_whole_share_and_one_that_is_not_has_none() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(97, 123, 9000).astype(np.uint8)
    other = rng.integers(97, 123, 1000).astype(np.uint8)
    copied = copying([train[:500], train[4000:4500]], match_lengths([train[:500], train[4000:4500]], train))
    own = copying([other], match_lengths([other], train))
    assert copied.long.value == 1 and copied.pieces == 20 and copied.long.low > 0.8
    assert own.long.value == 0 and own.curve == [(8, 0.0)]
    assert copied.curve[0] == (8, pytest.approx((1000 - 2 * (LEAST - 1)) / 1000))
    assert is_copied(copied, [own]) and not is_copied(own, [copied])


def test_the_share_of_places_never_rises_with_the_length() -> None:
    rng = np.random.default_rng(3)
    train = rng.integers(97, 99, 9000).astype(np.uint8)
    piece = rng.integers(97, 99, 1000).astype(np.uint8)
    shares = [share for _, share in copying([piece], match_lengths([piece], train)).curve]
    assert shares == sorted(shares, reverse=True) and shares[-1] == 0


def test_copies_are_told_only_where_unseen_text_has_none_so_long() -> None:
    train = letters("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor. " * 3)
    piece = train[5 : 5 + LONG + 10]
    found = copying([piece], match_lengths([piece], train))
    assert found.longest == LONG + 10
    unseen = copying([train[:80]], match_lengths([train[:80]], train))
    assert is_copied(found, []) and not is_copied(found, [unseen])


def test_sets_of_unseen_text_have_the_lengths_of_the_samples_and_do_not_overlap() -> None:
    unseen = np.arange(250).astype(np.uint8)
    pieces = [np.zeros(20, np.uint8), np.zeros(0, np.uint8), np.zeros(13, np.uint8)]
    sets = equal_sets(pieces, unseen)
    assert len(sets) == 7 and all([len(p) for p in some] == [20, 13] for some in sets)
    used = np.concatenate([piece for some in sets for piece in some])
    assert len(set(used.tolist())) == len(used)
    assert [len(p) for p in equal_sets(pieces, unseen[:25])[0]] == [20, 5]
    assert equal_sets(pieces, unseen[:0]) == [] and equal_sets([], unseen) == []
