"""GPT-2 folders become runs with the same logits and go back without a changed bit; everything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from elboroom.artifacts import files
from elboroom.core.errors import InputError
from elboroom.gpt2_weights import import_gpt2
from elboroom.run import load
from gpt2_form import CONFIG, LAYERS, VOCABULARY, WINDOW, Weights, forward, made, weights
from text_toys import few_drawn

pytest.importorskip("tokenizers")


def some_tokens() -> Tensor:
    return torch.randint(0, VOCABULARY, (3, WINDOW), generator=torch.Generator().manual_seed(1))


def logits(run: Any, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = run.model.read(tokens)[0]
    return found.double()


def contents(path: Path) -> Weights:
    return dict(load_file(path))


# ---- in -------------------------------------------------------------------------------------------------------------


def masked(w: Weights) -> Weights:
    """As the oldest files have it: with the causal mask beside the weights, and the head said again."""
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, WINDOW, WINDOW).tril() for i in range(LAYERS)}
    numbers = {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(LAYERS)}
    return {**w, **masks, **numbers, "lm_head.weight": w["wte.weight"].clone()}


FORMS: dict[str, Callable[[Weights], Weights]] = {
    "plain names": lambda w: w,
    "with the prefix": lambda w: {f"transformer.{name}": x for name, x in w.items()},
    "with masks and head": masked,
    "float16": lambda w: {name: x.half() for name, x in w.items()},
    "bfloat16": lambda w: {name: x.bfloat16() for name, x in w.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_an_imported_model_computes_what_gpt2_computes(form: str, tmp_path: Path) -> None:
    given = FORMS[form](weights())
    run = import_gpt2(made(tmp_path / "gpt2", given), tmp_path / "run")
    plain = {name.removeprefix("transformer."): x for name, x in given.items()}
    wanted = forward(plain, some_tokens())
    assert wanted.std() > 0.5
    torch.testing.assert_close(logits(run, some_tokens()), wanted, rtol=0, atol=2e-5)


def test_weights_in_several_files_are_the_same_weights(tmp_path: Path) -> None:
    folder, whole = made(tmp_path / "gpt2"), weights()
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for place in set(places.values()):
        save_file({name: whole[name] for name in names if places[name] == place}, folder / place)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    run = import_gpt2(folder, tmp_path / "run")
    torch.testing.assert_close(logits(run, some_tokens()), forward(whole, some_tokens()), rtol=0, atol=2e-5)


def test_an_imported_run_is_a_whole_run(tmp_path: Path) -> None:
    run = import_gpt2(made(tmp_path / "gpt2"), tmp_path / "run", command="elboroom import gpt2 --run run")
    assert run.meta["state"] == "done" and run.meta["settings"]["family"] == "gpt2"
    assert run.meta["parameters"] == sum(x.numel() for x in weights().values())
    for name in ("card.md", "report.html", "weights.safetensors"):
        assert (run.path / name).stat().st_size > 0, name
    again = load(tmp_path / "run")
    text = again.generate("the ", tokens=5, greedy=True)
    assert not isinstance(text, list) and text.prompt == "the " and len(text.tokens) == 5
    measured = again.evaluate(["the ant and the hand " * 8]).metrics["loss_nats_per_token"]["value"]
    assert 1 < measured < 30


def test_the_tokenizer_of_the_folder_is_the_runs(tmp_path: Path) -> None:
    run = import_gpt2(made(tmp_path / "gpt2"), tmp_path / "run")
    coded = run.transform.tokenizer.encode("the man")  # type: ignore[attr-defined]
    assert coded.tolist() == [257, 32, ord("m"), 258]
    assert run.transform.tokenizer.end == 259  # type: ignore[attr-defined]


# ---- and back -------------------------------------------------------------------------------------------------------


def test_a_folder_that_was_exported_holds_the_same_bits_and_imports_to_the_same_file(tmp_path: Path) -> None:
    first = import_gpt2(made(tmp_path / "gpt2"), tmp_path / "first")
    first.export("safetensors", tmp_path / "back")
    given, back = weights(), contents(tmp_path / "back" / "model.safetensors")
    assert back.keys() == {f"transformer.{name}" for name in given}
    assert all(torch.equal(back[f"transformer.{name}"], x) for name, x in given.items())
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert {name: config.get(name) for name in CONFIG} == {**CONFIG, "n_ctx": None}
    second = import_gpt2(tmp_path / "back", tmp_path / "second")
    assert (first.path / "weights.safetensors").read_bytes() == (second.path / "weights.safetensors").read_bytes()
    assert first.transform.to_json() == second.transform.to_json()
    assert first.meta["settings"] == second.meta["settings"]


TEXTS = ["".join("etaoin shrdlu"[i] for i in np.random.default_rng(0).integers(0, 13, 900))]


def fitted(folder: Path, **settings: Any) -> Any:
    from elboroom.api import fit

    small = {"layers": 2, "width": 16, "heads": 2, "batch_size": 4, "window": 16, "tokenizer": "char"}
    with few_drawn():
        return fit("gpt", TEXTS, **small, **settings, steps=2, threads=1, compile="off", run=folder)


def test_a_run_of_characters_comes_back_with_its_characters(tmp_path: Path) -> None:
    first = fitted(tmp_path / "first", family="gpt2", optimizer="adamw")
    first.export("safetensors", tmp_path / "back")
    second = import_gpt2(tmp_path / "back", tmp_path / "second")
    assert (first.path / "weights.safetensors").read_bytes() == (second.path / "weights.safetensors").read_bytes()
    assert first.transform.to_json() == second.transform.to_json()
    assert str(first.generate("hand", tokens=4, greedy=True)) == str(second.generate("hand", tokens=4, greedy=True))


@pytest.mark.parametrize("settings", [{"family": "modern"}, {"family": "gpt2", "attention": "sliding:4"}])
def test_what_is_no_gpt2_keeps_the_names_of_its_own_network(settings: dict[str, Any], tmp_path: Path) -> None:
    run = fitted(tmp_path / "run", **settings)
    run.export("safetensors", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"weights.safetensors", "run.json", "README.md"}
    assert contents(tmp_path / "out" / "weights.safetensors").keys() == run.model.state_dict().keys()


def test_a_file_holds_the_weights_by_our_names_whatever_the_family(tmp_path: Path) -> None:
    run = import_gpt2(made(tmp_path / "gpt2"), tmp_path / "run")
    run.export("safetensors", tmp_path / "out.safetensors")
    assert contents(tmp_path / "out.safetensors").keys() == run.model.state_dict().keys()


# ---- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'; only GPT-2"),
        ({"activation_function": "gelu"}, "activation_function is 'gelu'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06, and only 1e-05"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"n_inner": 24}, "n_inner is 24, and only 4 n_embd = 48"),
        ({"n_head": 5}, "n_embd 12 cannot be shared by n_head 5"),
        ({"n_layer": 3}, "n_layer 3, the weights are of 2 blocks"),
        ({"n_layer": 10**9}, "n_layer 1000000000, the weights are of 2 blocks"),
        ({"n_layer": "2"}, "n_layer is '2'; expected a whole number from 1"),
        ({"n_embd": None}, "n_embd is None; expected a whole number"),
        ({"n_positions": 32}, r"wpe.weight has shape \(16, 12\), config.json asks for \(32, 12\)"),
        ({"vocab_size": 300}, "a vocabulary of 300 and the tokenizer one of 260"),
    ],
)
def test_another_network_is_refused_in_words(config: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        import_gpt2(made(tmp_path / "gpt2", **config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def without(w: Weights, name: str) -> Weights:
    return {other: x for other, x in w.items() if other != name}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda w: without(w, "h.1.ln_2.bias"), "h.1.ln_2.bias missing"),
        (lambda w: without(w, "wte.weight"), "wte.weight missing"),
        (lambda w: {**w, "h.0.attn.rotary": torch.zeros(3)}, "h.0.attn.rotary not of a GPT-2"),
        (lambda w: {**w, "h.1.mlp.c_fc.weight": w["h.1.mlp.c_fc.weight"].T.contiguous()}, r"has shape \(48, 12\)"),
        (lambda w: {**w, "ln_f.bias": w["ln_f.bias"].double()}, "ln_f.bias is of dtype float64"),
        (lambda w: {**w, "ln_f.bias": w["ln_f.bias"].to(torch.int32)}, "ln_f.bias is of dtype int32"),
        (lambda w: {**w, "transformer.ln_f.bias": w["ln_f.bias"].clone()}, "holds ln_f.bias twice"),
        (lambda w: {**w, "lm_head.weight": w["wte.weight"] + 1}, "lm_head.weight is not wte.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    changed: Callable[[Weights], Weights], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        import_gpt2(made(tmp_path / "gpt2", changed(weights())), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pickles_are_refused_and_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "gpt2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model.bin, a pickle, which can run code"):
        import_gpt2(folder, tmp_path / "run")


@pytest.mark.parametrize("place", ["../other.safetensors", "/etc/passwd", "pytorch_model.bin", ""])
def test_an_index_names_files_of_its_own_folder_only(place: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "gpt2")
    (folder / "model.safetensors").rename(tmp_path / "other.safetensors")
    index = {"weight_map": dict.fromkeys(weights(), place)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(InputError, match=r"expected .safetensors files of this folder"):
        import_gpt2(folder, tmp_path / "run")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_folder_without_one_of_its_files_is_refused(name: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "gpt2")
    (folder / name).unlink()
    with pytest.raises(InputError, match=r"config.json|model.safetensors|tokenizer.json|merges.txt"):
        import_gpt2(folder, tmp_path / "run")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "gpt2")
    (folder / name).write_bytes(b"\x93\xff{" + bytes(40))
    with pytest.raises(InputError, match=name):
        import_gpt2(folder, tmp_path / "run")


def test_a_run_that_is_there_goes_only_for_a_folder_that_can_be_imported(tmp_path: Path) -> None:
    good, bad = made(tmp_path / "good"), made(tmp_path / "bad", without(weights(), "ln_f.bias"))
    import_gpt2(good, tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        import_gpt2(good, tmp_path / "run")
    with pytest.raises(InputError, match="missing"):
        import_gpt2(bad, tmp_path / "run", force=True)
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    import_gpt2(good, tmp_path / "run", force=True)


def test_an_import_that_is_cut_off_anywhere_can_be_repeated(tmp_path: Path) -> None:
    folder, operations = made(tmp_path / "gpt2"), []
    with files.watched(operations.append):
        import_gpt2(folder, tmp_path / "whole")
    assert len(operations) > 20

    class Cut(Exception):
        pass

    for last in range(0, len(operations), 13):
        left = iter(range(last))

        def watcher(operation: files.Operation, left: Any = left) -> None:
            if next(left, None) is None:
                raise Cut

        with files.watched(watcher), pytest.raises(Cut):
            import_gpt2(folder, tmp_path / "cut", force=True)
        import_gpt2(folder, tmp_path / "cut", force=True)
        wanted = (tmp_path / "whole" / "weights.safetensors").read_bytes()
        assert (tmp_path / "cut" / "weights.safetensors").read_bytes() == wanted
    np.testing.assert_equal(load(tmp_path / "cut").meta["state"], "done")
