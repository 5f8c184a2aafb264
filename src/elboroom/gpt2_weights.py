"""GPT-2's weights in the form in which model hubs keep them: config.json, model.safetensors, the tokenizer's files.

Radford et al. 2019. Both forms name the same tensors of the same network. The four matrices of a block lie transposed
there, because its layers compute x W + b, and the head is the embedding. Only this arithmetic is taken: layer norms
with 1e-5, tanh-GELU, scores over sqrt(width of a head). What would compute something else is refused, and so is every
pickle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from elboroom.artifacts import files
from elboroom.artifacts.run import RunFolder
from elboroom.artifacts.tensors import load_tensors, save_tensors
from elboroom.core import registry
from elboroom.core.abilities import Continues
from elboroom.core.errors import InputError
from elboroom.core.model import Model
from elboroom.core.spec import Spec
from elboroom.data.bpe import Bpe, load_bpe
from elboroom.data.reading import Reading
from elboroom.data.rows import Resident
from elboroom.data.source import Dataset, saved_tokenizer
from elboroom.data.text import TextTransform
from elboroom.engine.runtime import cores, seeded
from elboroom.finish import pages, write_weights
from elboroom.request import Request
from elboroom.run import Run, load
from elboroom.settings import build, checked

if TYPE_CHECKING:
    from elboroom.data.tokenizers import Tokenizer

__all__ = ["import_gpt2", "is_gpt2", "write_gpt2"]

FAMILY = "gpt2"
OUTER = {"tokens.weight": "wte.weight", "positions.weight": "wpe.weight", "norm": "ln_f"}
INNER = {
    "norm_1": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "norm_2": "ln_2",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}
"""Our names of the parts, and theirs."""
PREFIX = "transformer."
MASK = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
"""Buffers that older versions saved beside the weights: the causal mask."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
SHARDS = "model.safetensors.index.json"

COMPUTED = {
    "layer_norm_epsilon": (1e-5,),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of the tanh-GELU
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}
"""What config.json may say of the arithmetic; silence stands for the first, GPT-2's own."""


# ---- in -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """The sizes in config.json."""

    layers: int
    heads: int
    width: int
    window: int
    vocabulary: int
    dropout: float

    @classmethod
    def read(cls, path: Path) -> _Shape:
        config = files.read_json(path)
        if not isinstance(config, dict):
            raise InputError(f"{path}: holds no table of settings; restore it from a copy")
        kind = config.get("model_type", FAMILY)
        if kind != FAMILY:
            raise InputError(f"{path}: model_type is {kind!r}; only GPT-2's architecture ({FAMILY}) can be imported")
        for name, known in COMPUTED.items():
            if config.get(name, known[0]) not in known:
                raise InputError(
                    f"{path}: {name} is {config[name]!r}, and only {' or '.join(map(repr, known))} is computed here; "
                    "these weights would give other texts"
                )
        names = ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size")
        for name in names:
            if type(value := config.get(name)) is not int or value < 1:
                raise InputError(f"{path}: {name} is {value!r}; expected a whole number from 1")
        layers, heads, width, window, vocabulary = (int(config[name]) for name in names)
        if width % heads:
            raise InputError(f"{path}: n_embd {width} cannot be shared by n_head {heads} heads")
        if config.get("n_inner") not in (None, 4 * width):
            raise InputError(f"{path}: n_inner is {config['n_inner']}, and only 4 n_embd = {4 * width} is known here")
        drops = {config.get(name, 0.1) for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")}
        same = drops.pop() if len(drops) == 1 else 0.0
        dropout = float(same) if isinstance(same, int | float) and 0 <= same < 1 else 0.0
        return cls(layers, heads, width, window, vocabulary, dropout)

    def settings(self) -> dict[str, Any]:
        """Of our model. Dropout concerns training alone; one that is not the same everywhere is not kept."""
        return {
            "family": FAMILY,
            "layers": self.layers,
            "heads": self.heads,
            "width": self.width,
            "attention": "dense",
            "dropout": self.dropout,
        }


def import_gpt2(folder: str | Path, run: str | Path, *, force: bool = False, command: str = "") -> Run:
    """Make the folder a run at `run`: it generates, evaluates, is inspected and exported as one that was fitted here.

    All is read and checked before anything is written; `force` replaces a run that is there. Weights in 16 bits become
    float32. Raises InputError where the folder is no GPT-2, is damaged, or lacks its tokenizer.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name one that holds config.json and model.safetensors")
    shape = _Shape.read(folder / "config.json")
    tokenizer = _tokenizer(folder)
    if tokenizer.size != shape.vocabulary:
        raise InputError(
            f"{folder}: config.json has a vocabulary of {shape.vocabulary:,} and the tokenizer one of "
            f"{tokenizer.size:,}; bring the tokenizer that these weights were trained with"
        )
    tensors = _plain(folder, _tensors(folder))
    model = _filled(folder, shape, tensors)
    meta = _described(folder, shape, model, tokenizer, command)
    return _written(RunFolder.create(run, force=force), meta, model, TextTransform(tokenizer))


def _written(folder: RunFolder, meta: dict[str, Any], model: Model, transform: TextTransform) -> Run:
    """The run folder; until its weights are there run.json says so, so that a kill leaves what --force can replace."""
    with folder.lock():
        cut = {"state": "failed", "why": "the import did not come to its end; repeat it with --force"}
        folder.write_meta({**meta, "name": folder.path.name, **cut})
        digest = write_weights(folder, model, transform)
        folder.write_meta({**folder.meta, "weights_sha256": digest, "state": "done", "why": ""})
        pages(folder)
    return load(folder.path)


def _described(folder: Path, shape: _Shape, model: Model, tokenizer: Tokenizer, command: str) -> dict[str, Any]:
    """run.json of a run that took no step on data that nobody here has seen."""
    reading = Reading(kind="text", scale="tokens", tokenizer=tokenizer.name, window=shape.window)
    request = Request.of(
        _entry().name, reading=reading, settings=shape.settings(), steps=1, device="cpu", precision="fp32",
        compile="off", threads=cores(), command=command,
    )  # fmt: skip
    dataset = Dataset(
        name=f"not known: imported from {folder.resolve().name}",
        spec=model.spec,
        parts={"train": Resident(torch.zeros(0, shape.window + 1), np.zeros(0, np.int64))},
        transform=TextTransform(tokenizer),
        fingerprint="",
        problems=[],
        reading=reading,
        split_how="none: the weights were trained elsewhere",
        identifiers={},
        named=False,
    )
    meta = request.describe(dataset, "")
    nothing = {"epochs": 0, "steps": 0, "minutes": 0.0, "planned_steps": 0, "steps_per_epoch": 0, "log_every": 1}
    meta["budget"].update(nothing, save_every=60.0)
    meta["data"]["split"]["counts"] = {}
    meta["runtime"]["matmul"] = "default"
    meta.update(choices={}, parameters=sum(p.numel() for p in model.parameters()))
    return meta


def _entry() -> registry.Entry:
    """The model that continues texts and has this family."""
    for entry in registry.entries():
        families = next((f.choices for f in entry.fields if f.name == "family"), ())
        if FAMILY in families and Continues.__name__ in entry.abilities:
            return entry
    raise InputError(f"no model here has the family {FAMILY}")


def _filled(folder: Path, shape: _Shape, tensors: dict[str, Tensor]) -> Model:
    """Our model with these weights; every name, shape and dtype is checked before anything of that size is made."""
    blocks = {int(number[1]) for name in tensors if (number := re.match(r"h\.(\d{1,9})\.", name))}
    if len(blocks) != shape.layers or max(blocks) != shape.layers - 1:
        raise InputError(f"{folder}: config.json has n_layer {shape.layers}, the weights are of {len(blocks)} blocks")
    outer = {"wte.weight": (shape.vocabulary, shape.width), "wpe.weight": (shape.window, shape.width)}
    for name, size in outer.items():
        _check_shape(folder, name, tensors, size)
    entry = _entry()
    spec = Spec(kind="text", shape=(shape.window,), scale="tokens", levels=shape.vocabulary)
    kind = registry.load(entry.name)
    config = build(kind.Config, checked(entry, shape.settings()), entry.name)
    with seeded(0), torch.device("meta"):
        model = kind(config, spec)
    names = {ours: _theirs(ours) for ours in model.state_dict()}
    missing = sorted({name for name, _ in names.values()} - set(tensors))
    extra = sorted(set(tensors) - {name for name, _ in names.values()})
    if missing or extra:
        said = [f"{', '.join(x[:3])} {w}" for x, w in ((missing, "missing"), (extra, "not of a GPT-2")) if x]
        raise InputError(f"{folder}: the weights do not fit config.json: {'; '.join(said)}")
    filled = {}
    for ours, like in model.state_dict().items():
        name, turned = names[ours]
        _check_shape(folder, name, tensors, tuple(reversed(like.shape)) if turned else tuple(like.shape))
        tensor = tensors[name]
        if tensor.dtype not in FLOATS:
            kinds = ", ".join(str(x).removeprefix("torch.") for x in FLOATS)
            kind_here = str(tensor.dtype).removeprefix("torch.")
            raise InputError(f"{folder}: {name} is of dtype {kind_here}; expected one of {kinds}")
        filled[ours] = (tensor.T if turned else tensor).to(torch.float32).contiguous()
    model.load_state_dict(filled, assign=True)
    return model.eval()


def _check_shape(folder: Path, name: str, tensors: dict[str, Tensor], wanted: tuple[int, ...]) -> None:
    if name not in tensors:
        raise InputError(f"{folder}: the weights do not fit config.json: {name} missing")
    if (found := tuple(tensors[name].shape)) != wanted:
        raise InputError(f"{folder}: {name} has shape {found}, config.json asks for {wanted}")


def _theirs(ours: str) -> tuple[str, bool]:
    """Their name of one of our tensors, and whether it lies transposed there."""
    if ours in OUTER:
        return OUTER[ours], False
    part, _, kind = ours.rpartition(".")
    if part in OUTER:
        return f"{OUTER[part]}.{kind}", False
    _, block, inner = part.split(".", 2)
    return f"h.{block}.{INNER[inner]}.{kind}", kind == "weight" and not inner.startswith("norm")


def _plain(folder: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefix, the masks, and a head that is the embedding."""
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = name.removeprefix(PREFIX)
        if MASK.fullmatch(short):
            continue
        if short in plain:
            raise InputError(f"{folder}: holds {short} twice, with and without {PREFIX!r} before it; restore a copy")
        plain[short] = tensor
    head, embedding = plain.pop("lm_head.weight", None), plain.get("wte.weight")
    if head is not None and not (
        embedding is not None and head.dtype == embedding.dtype and torch.equal(head, embedding)
    ):
        raise InputError(f"{folder}: lm_head.weight is not wte.weight; only a head tied to the embedding is known here")
    return plain


def _tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder, from one file or several."""
    if (folder / "model.safetensors").is_file():
        return _torch(load_tensors(folder / "model.safetensors"))
    if not (folder / SHARDS).is_file():
        raise InputError(_no_weights(folder))
    listed = files.read_json(folder / SHARDS)
    places = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise InputError(f"{folder / SHARDS}: holds no weight_map of names and files; restore it from a copy")
    found: dict[str, Tensor] = {}
    for place in sorted(set(places.values())):
        if not re.fullmatch(r"[\w.-]+\.safetensors", place):
            raise InputError(f"{folder / SHARDS}: names the file {place!r}; expected .safetensors files of this folder")
        found.update(_torch(load_tensors(folder / place)))
    lost = sorted(set(places) - set(found))
    if lost:
        raise InputError(f"{folder / SHARDS}: names {lost[0]}, which is in none of its files; restore them from a copy")
    return found


def _torch(loaded: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.as_tensor(x) for name, x in loaded.items()}


def _no_weights(folder: Path) -> str:
    pickles = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES)
    if pickles:
        return (
            f"{folder}: holds its weights as {pickles[0]}, a pickle, which can run code when it is read; save them as "
            "safetensors: model.save_pretrained(FOLDER)"
        )
    return f"{folder}: holds neither model.safetensors nor {SHARDS}; name a folder that does"


def _tokenizer(folder: Path) -> Tokenizer:
    """The folder's own; characters and bytes have no such file, so a folder of ours keeps theirs in run.json."""
    if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        return load_bpe(folder, end=False)
    saved = files.read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    try:
        found = saved_tokenizer(saved["data"]) if saved else None
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / 'run.json'}: is damaged: no data, transform; restore it from a copy") from error
    if found is None:
        said = "holds no tokenizer.json, nor vocab.json with merges.txt; put them beside the weights"
        raise InputError(f"{folder}: {said}")
    return found


# ---- out ------------------------------------------------------------------------------------------------------------


def is_gpt2(run: Run) -> bool:
    """Whether the run's model is GPT-2 to the digit, so that its weights have a meaning elsewhere."""
    settings = run.meta["settings"]
    patterns = set(str(settings.get("attention", "")).split("+"))
    return isinstance(run.model, Continues) and settings.get("family") == FAMILY and patterns == {"dense"}


def write_gpt2(run: Run, place: Path) -> None:
    """Into a folder still in the making: what `GPT2LMHeadModel.from_pretrained` reads, and the tokenizer."""
    if not isinstance(run.transform, TextTransform):
        raise InputError(f"{run.path}: the run reads no text, so its weights are no GPT-2's; export to a file")
    tensors = {}
    for ours, tensor in run.model.state_dict().items():
        name, turned = _theirs(ours)
        tensors[PREFIX + name] = tensor.T if turned else tensor
    save_tensors(place / "model.safetensors", tensors, new=True)
    tokenizer = run.transform.tokenizer
    files.write_json(place / "config.json", _config(run, tokenizer))
    if isinstance(tokenizer, Bpe):
        files.write_json(place / "tokenizer.json", _pairs(tokenizer))
        fast = {"tokenizer_class": "GPT2TokenizerFast", "model_max_length": run.spec.shape[0]}
        end = None if tokenizer.end is None else tokenizer.special[tokenizer.end]
        ends = dict.fromkeys(("bos_token", "eos_token", "unk_token"), end)
        files.write_json(place / "tokenizer_config.json", {**fast, **ends})


def _config(run: Run, tokenizer: Tokenizer) -> dict[str, Any]:
    settings, spec = run.meta["settings"], run.spec
    drop = settings["dropout"]
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": FAMILY,
        "vocab_size": spec.levels,
        "n_positions": spec.shape[0],
        "n_embd": settings["width"],
        "n_layer": settings["layers"],
        "n_head": settings["heads"],
        "n_inner": None,
        **{name: known[0] for name, known in COMPUTED.items()},
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), drop),
        **dict.fromkeys(("bos_token_id", "eos_token_id"), tokenizer.end),
        "dtype": "float32",
    }


def _pairs(tokenizer: Bpe) -> dict[str, Any]:
    """tokenizer.json of the `tokenizers` library."""
    special = {name: i for i, name in tokenizer.special.items()}
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": name, **plain, "special": True} for name, i in special.items()],
        "normalizer": None,
        "pre_tokenizer": tokenizer.split,
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "ignore_merges": tokenizer.ignore_merges,
            "vocab": {**{token: i for i, token in enumerate(tokenizer.vocabulary) if token}, **special},
            "merges": tokenizer.merges,
        },
    }
