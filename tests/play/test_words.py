"""Play with a text: the tokens of the command line, laws that sum to one, attention as the model has it."""

from __future__ import annotations

import base64
import io
import itertools
import json
import math
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elboroom.cli.main import main
from elboroom.core.abilities import Attends
from elboroom.core.errors import InputError, Unable
from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.play.answers import Player
from elboroom.play.heads import MOST, Heads, seen_from
from elboroom.play.words import ALTERNATIVES, ASKS
from text_toys import TRAIN, Markov, few_drawn

WINDOW = 32
TINY = {"layers": 2, "heads": 2, "width": 32, "attention": "dense+sliding:8"}
LAW = {"temperature": 0.8, "top_k": 11, "top_p": 0.97, "min_p": 0.02, "repetition_penalty": 1.3}


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A tiny transformer on letters, one of its two layers sparse."""
    path = tmp_path_factory.mktemp("words") / "prose.txt"
    path.write_text(TRAIN, encoding="utf-8")
    reading = Reading(window=WINDOW)
    with few_drawn():
        run = fit("gpt", str(path), run=path.parent / "run", reading=reading, settings=TINY, steps=4, threads=1)
    return Player(run)


@pytest.fixture(scope="module")
def octets(tmp_path_factory: pytest.TempPathFactory) -> Player:
    """A recurrent net on bytes of two documents, so that texts have an end."""
    folder = tmp_path_factory.mktemp("words") / "tales"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text("né à la mer. " * 60, encoding="utf-8")
    reading = Reading(window=WINDOW, tokenizer="byte")
    settings = {"hidden": 16, "embedding": 8}
    place = folder.parent / "run"
    with few_drawn():
        return Player(fit("charnn", str(folder), run=place, reading=reading, settings=settings, steps=4, threads=1))


def asked(player: Player, name: str, **given: Any) -> Any:
    return ASKS[f"words/{name}"](player, given)


def written(player: Player, **given: Any) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """The start, the tokens, the end."""
    first, *tokens, last = asked(player, "generate", **given)
    return first["start"], [part["token"] for part in tokens], last["done"]


def text_of(tokens: list[dict[str, Any]], done: dict[str, Any]) -> str:
    return "".join(token["piece"] for token in tokens) + str(done["rest"])


def shares(found: dict[str, Any]) -> np.ndarray:
    held = found["weights"]
    raw = np.frombuffer(base64.b64decode(held["bytes"]), held["dtype"]).reshape(held["shape"])
    return (raw / 255.0) ** 2


def ids_of(start: dict[str, Any], tokens: list[dict[str, Any]]) -> list[int]:
    return [token["id"] for token in [*start["tokens"], *tokens]]


def own_law(player: Player, ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        logits, _ = player.run.model.read(torch.tensor([ids]))  # type: ignore[operator]
    return logits[0, -1].double().softmax(-1).numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize("prompt", ["the cat", ""])
@pytest.mark.parametrize("kind", ["letters", "octets"])
def test_the_text_is_that_of_the_command_line(kind: str, prompt: str, request: pytest.FixtureRequest) -> None:
    player = request.getfixturevalue(kind)
    flags = [word for name, value in LAW.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    said = io.StringIO()
    with redirect_stdout(said):
        words = [
            "generate",
            str(player.run.path),
            "--prompt",
            prompt,
            "--tokens",
            "90",
            "--seed",
            "7",
            *flags,
            "--json",
        ]
        assert main(words) == 0
    (expected,) = json.loads(said.getvalue())
    start, tokens, done = written(player, prompt=prompt, tokens=90, seed=7, **LAW)
    assert [token["id"] for token in tokens] == expected["tokens"]
    assert (text_of(tokens, done), done["reason"]) == (expected["text"], expected["finish_reason"])
    assert start["opened"] is (prompt == "") and start["repeatable"]


def test_what_could_have_come_sums_to_one_under_both_laws(letters: Player) -> None:
    start, tokens, _ = written(letters, prompt="the dog", tokens=40, seed=1, temperature=0.5, top_k=12)
    before = ids_of(start, [])
    for token in tokens:
        own = own_law(letters, before)
        kept = np.argsort(-own, kind="stable")[:12]
        drawn = np.zeros_like(own)
        drawn[kept] = own[kept] ** 2 / (own[kept] ** 2).sum()  # temperature 1/2 squares a law
        listed = token["likeliest"]
        assert len(listed) == ALTERNATIVES and [q for *_, q in listed] == sorted((q for *_, q in listed), reverse=True)
        for i, _, p, q in [*listed, [token["id"], "", token["p"], token["q"]]]:
            assert (p, q) == pytest.approx((own[i], drawn[i]), abs=1e-6)
        assert token["bits"] == pytest.approx(-math.log2(own[token["id"]]), abs=1e-4)
        assert len(listed) + token["kept"][0] + token["cut"][0] == len(own)
        assert token["kept"][0] == 12 - ALTERNATIVES and token["cut"][2] == 0
        for place in (1, 2):
            total = sum(row[place + 1] for row in listed) + token["kept"][place] + token["cut"][place]
            assert total == pytest.approx(1, abs=1e-6)
        before.append(token["id"])


def test_greedy_draws_the_likeliest_for_certain(letters: Player) -> None:
    _, tokens, _ = written(letters, prompt="a", tokens=20, temperature=0.0)
    for token in tokens:
        (first, _, p, q), *others = token["likeliest"]
        assert (first, q, token["kept"][0]) == (token["id"], 1.0, 0)
        assert all(row[2] <= p and row[3] == 0 for row in others)


def test_the_prompt_has_the_surprise_that_the_model_has_of_it(letters: Player) -> None:
    start, _, _ = written(letters, prompt="the cat sat on the mat while a dog ran far", tokens=1)
    first, *rest = start["tokens"]
    ids = ids_of(start, [])
    assert "bits" not in first and len(ids) > WINDOW
    for at, token in enumerate(rest, 1):
        assert token["bits"] == pytest.approx(-math.log2(own_law(letters, ids[:at])[token["id"]]), abs=1e-4)


def test_the_law_of_a_place_is_the_one_it_was_drawn_from(letters: Player) -> None:
    start, tokens, _ = written(letters, prompt="dog", tokens=12, seed=3, **LAW)
    ids = ids_of(start, tokens)
    for at, token in enumerate(tokens, len(start["tokens"])):
        found = asked(letters, "law", ids=ids[:at], taken=token["id"], **LAW)
        for name in ("p", "q", "bits"):
            assert found[name] == pytest.approx(token[name], rel=1e-4)
        assert [row[0] for row in found["likeliest"]] == [row[0] for row in token["likeliest"]]


def test_a_text_goes_on_from_another_token(letters: Player) -> None:
    start, tokens, _ = written(letters, prompt="the ", tokens=12, temperature=0.0)
    ids = ids_of(start, tokens)
    same, rest, _ = written(letters, ids=ids[:8], tokens=len(ids) - 8, temperature=0.0)
    assert [token["id"] for token in rest] == ids[8:] and ids_of(same, []) == ids[:8]
    other = tokens[4]["likeliest"][1]
    begun, after, _ = written(letters, ids=[*ids[:8], other[0]], tokens=3, seed=5)
    assert begun["prompt"].endswith(other[1]) and len(begun["tokens"]) == 9
    assert [t["id"] for t in after] == [t["id"] for t in written(letters, prompt=begun["prompt"], tokens=3, seed=5)[1]]


def test_a_row_of_attention_is_the_models_own_in_the_window_it_sees(letters: Player) -> None:
    start, tokens, _ = written(letters, prompt="the cat", tokens=80, seed=2)
    ids, model = ids_of(start, tokens), letters.run.model
    assert isinstance(model, Attends)
    context = asked(letters, "about")["context"]
    assert context == WINDOW
    for at in (1, 2, 31, 32, 33, 48, 49, 50, len(ids)):
        with torch.inference_mode():
            _, memory = model.read(torch.tensor([ids[:at]]))  # type: ignore[operator]
            since = seen_from(context, at)
            assert memory.read[0] - memory.used[0] == since
            expected = model.attention(torch.tensor(ids[since:at]))[:, :, -1].double().numpy()
        for layer, head, of in ((2, 1, expected[1, 0]), (1, None, expected[0].mean(0)), (None, None, None)):
            found = asked(letters, "attention", ids=ids, at=[at], layer=layer, head=head)
            wanted = np.zeros(at)
            wanted[since:] = expected.mean((0, 1)) if of is None else of
            assert (found["first"], found["since"], found["earlier"]) == (0, since, 0)
            np.testing.assert_allclose(shares(found), wanted, atol=1 / 255)


def test_rows_of_several_tokens_are_averaged(letters: Player) -> None:
    ids = ids_of(*written(letters, prompt="the cat sat on the mat while a dog ran", tokens=30, seed=2)[:2])
    one, other, both = (asked(letters, "attention", ids=ids, at=at) for at in ([30], [60], [30, 60]))
    assert (one["since"], other["since"], both["since"]) == (0, 32, 0)
    np.testing.assert_allclose(shares(both), (np.pad(shares(one), (0, 30)) + shares(other)) / 2, atol=2 / 255)


def test_a_small_map_holds_the_rows_of_every_head(letters: Player) -> None:
    ids = ids_of(*written(letters, prompt="the cat", tokens=50, seed=4)[:2])
    found = asked(letters, "maps", ids=ids, at=30)
    maps = shares(found)
    assert maps.shape == (2, 2, 30, 30) and found["first"] == 0
    for at in (1, 17, 30):
        row = shares(asked(letters, "attention", ids=ids, at=[at], layer=2, head=2))
        np.testing.assert_allclose(maps[1, 1, at - 1, :at], row, atol=1 / 255)
        assert not maps[:, :, at - 1, at:].any()
    assert maps[1, :, 29, :22].max() == 0, "the second layer sees eight tokens"


class Even(Markov, Attends):
    """Looks at all tokens alike, without a layer of ours."""

    def attention(self, tokens: Tensor) -> Tensor:
        n = len(tokens)
        return (torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]).expand(3, 2, n, n)


def test_a_model_with_attention_of_its_own_is_asked_for_it() -> None:
    heads = Heads(Even(torch.zeros(5, 5)), 5)
    assert (heads.layers, heads.heads, heads.context) == (3, 2, 0)
    row, start = heads.row([1, 2, 3, 4], 4)
    assert start == 0 and torch.equal(row, torch.full((3, 2, 4), 0.25))
    row, start = heads.row([1] * 1000, 900)
    assert (start, row.shape[-1]) == (900 - MOST, MOST)
    maps, first = heads.maps([1] * 1000, 900, 8)
    assert first == 892 and maps.shape == (3, 2, 8, 8)


@pytest.mark.slow
def test_what_lies_more_than_512_places_back_is_one_sum(tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text(TRAIN, encoding="utf-8")
    settings = {"layers": 1, "heads": 2, "width": 16, "batch_size": 2}
    player = Player(fit("gpt", str(tmp_path / "prose.txt"), run=tmp_path / "run", reading=Reading(window=700),
                        settings=settings, steps=2, threads=1))  # fmt: skip
    ids = (np.arange(650) % 7).tolist()
    found = asked(player, "attention", ids=ids, at=[640])
    assert found["first"] == 640 - MOST and found["weights"]["shape"] == [MOST] and found["since"] == 0
    assert found["earlier"] == pytest.approx((640 - MOST) / 640, abs=0.1)
    model = player.run.model
    assert isinstance(model, Attends)
    with torch.inference_mode():
        expected = model.attention(torch.tensor(ids[:640]))[:, :, -1].double().mean((0, 1))
    assert found["earlier"] == pytest.approx(float(expected[: 640 - MOST].sum()), abs=1e-5)
    np.testing.assert_allclose(shares(found), expected[640 - MOST :].numpy(), atol=1e-3)


def test_parts_of_a_character_have_names_and_the_last_one_shows_it(octets: Player) -> None:
    start, _, _ = written(octets, prompt="née", tokens=1)
    assert [(t["name"], t["piece"]) for t in start["tokens"]] == [
        ("n", "n"), ("\\xc3", ""), ("\\xa9", "é"), ("e", "e")]  # fmt: skip
    cut, tokens, done = written(octets, ids=[110, 0xC3], tokens=4, seed=1)
    assert not cut["repeatable"], "half a character is no text"
    whole = bytes(t["id"] for t in [*cut["tokens"], *tokens] if t["id"] < 256)
    assert text_of([*cut["tokens"], *tokens], done) == whole.decode(errors="replace")


def test_a_text_that_begins_from_nothing_shows_what_was_read(octets: Player) -> None:
    start, _, _ = written(octets, prompt="", tokens=1)
    assert start["tokens"] == [{"id": 256, "name": "⟨end⟩", "piece": ""}] and start["opened"]


def test_the_end_of_a_text_ends_it(octets: Player) -> None:
    begun = octets.run.model.state_dict()["head.weight"].clone()
    try:
        with torch.no_grad():
            octets.run.model.head.weight[:256] = 0  # type: ignore[union-attr,operator,index]
            octets.run.model.head.weight[256] = 1e6 * begun[256].sign()  # type: ignore[union-attr,operator,index]
        runs = [written(octets, prompt="la mer", tokens=50, seed=seed) for seed in range(8)]
    finally:
        octets.run.model.load_state_dict({**octets.run.model.state_dict(), "head.weight": begun})
    ended = [tokens for _, tokens, done in runs if done["reason"] == "stop"]
    assert ended and all([t["name"] for t in tokens].index("⟨end⟩") == len(tokens) - 1 for tokens in ended)


def test_a_recurrent_net_plays_without_attention(octets: Player) -> None:
    about = asked(octets, "about")
    assert (about["context"], about["layers"], about["heads"]) == (0, 0, 0)
    with pytest.raises(Unable, match=r"cannot show attention; .*gpt"):
        asked(octets, "attention", ids=[1], at=[1])


def test_the_prompt_to_begin_with_is_that_of_the_runs_own_samples(letters: Player) -> None:
    prompt = asked(letters, "about")["prompt"]
    assert len(prompt) > 10 and prompt in (letters.run.path.parent / "prose.txt").read_text()


@pytest.mark.slow
def test_the_process_of_a_page_writes_the_same_text_and_stops_when_told(letters: Player) -> None:
    words = [sys.executable, "-m", "elboroom.play.worker", str(letters.run.path)]
    asks = [{"id": 1, "ask": "words/generate", "with": {"prompt": "the", "tokens": 20, "seed": 4}},
            {"id": 2, "ask": "words/generate", "with": {"prompt": "the", "tokens": 16_384}}]  # fmt: skip
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("".join(json.dumps(ask) + "\n" for ask in asks))
        process.stdin.flush()
        lines = [json.loads(line) for line in itertools.islice(process.stdout, 30)]  # ready, 1 + 20 + 1 parts, end, ...
        process.stdin.write('{"id": 2, "cancel": true}\n')
        process.stdin.flush()
        rest = [json.loads(line) for line in iter(process.stdout.readline, '{"id":2,"end":true}\n')]
        process.stdin.close()
    assert "ready" in lines[0] and lines[23] == {"id": 1, "end": True}
    _, tokens, _ = written(letters, prompt="the", tokens=20, seed=4)
    assert [line["part"]["token"]["id"] for line in lines[2:22]] == [token["id"] for token in tokens]
    assert all("token" in line["part"] for line in rest) and len(rest) < 10_000


def test_a_page_is_told_the_bounds_by_which_a_setting_is_refused(letters: Player) -> None:
    limits = asked(letters, "about")["limits"]
    assert limits["top_p"] == {"whole": False, "for": "mass kept, above 0 and at most 1", "above": 0, "most": 1}
    assert (limits["tokens"]["whole"], limits["tokens"]["least"], limits["tokens"]["most"]) == (True, 1, 16_384)
    for name, bound in limits.items():
        over = bound["most"] * 2
        for wrong in (over, bound["above"] if "above" in bound else bound["least"] - 1):
            with pytest.raises(InputError, match=f"^{name}: "):
                asked(letters, "generate", prompt="the", **{name: wrong})


def test_a_text_can_be_left_in_the_middle(letters: Player) -> None:
    parts = asked(letters, "generate", prompt="the", tokens=16_384)
    assert "start" in next(parts) and "token" in next(parts)
    parts.close()
    assert len(written(letters, prompt="the", tokens=5)[1]) == 5


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("generate", {"prompt": "the", "temperature": -1}, "temperature"),
        ("generate", {"prompt": "the", "temperature": float("nan")}, "temperature"),
        ("generate", {"prompt": "the", "top_p": 0}, "top_p"),
        ("generate", {"prompt": "the", "tokens": 0}, "tokens"),
        ("generate", {"prompt": "the", "tokens": True}, "tokens"),
        ("generate", {"prompt": "the", "seed": -1}, "seed"),
        ("generate", {"prompt": "日本"}, "日"),
        ("generate", {"prompt": 3}, "prompt"),
        ("generate", {"prompt": "a", "ids": [1]}, "ids and prompt"),
        ("generate", {"ids": [19]}, "there is no token 19"),
        ("generate", {"ids": [-1]}, "ids"),
        ("generate", {"wish": "a"}, "wish"),
        ("law", {}, "ids"),
        ("law", {"ids": [1], "taken": 99}, "there is no token 99"),
        ("attention", {"ids": [1, 2], "at": [3]}, "the text has 2 tokens"),
        ("attention", {"ids": [1, 2], "at": [0]}, "at"),
        ("attention", {"ids": [], "at": [1]}, "ids"),
        ("attention", {"ids": [1, 2], "at": [1], "layer": 3}, "layers 1 to 2"),
        ("attention", {"ids": [1, 2], "at": [1], "layer": 1, "head": 3}, "heads 1 to 2"),
        ("maps", {"ids": [1], "at": 2}, "the text has 1 token"),
        ("about", {"x": 1}, "x"),
    ],
)
def test_a_wrong_ask_is_refused_in_one_sentence(letters: Player, name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        asked(letters, name, **given)
    assert said in str(refused.value) and "\n" not in str(refused.value)
