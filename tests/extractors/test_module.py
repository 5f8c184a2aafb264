from __future__ import annotations

import sys

import pytest
import torch

from elboroom.core.errors import InputError, Unable
from elboroom.extractors.choosing import choose
from elboroom.extractors.inputs import examples

OWN = """
import torch
from torch import nn


class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def forward(self, x):
        return self.linear(x.mean(1))


def rows(x):
    return x.sum(3)


made = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))


class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()


def noisy(x):
    return x + torch.rand_like(x)


def whole(x):
    return x.flatten(1).long()


def one(x):
    return x.mean()


def lost(x):
    return x.flatten(1) / 0


def wrong(x):
    return x @ torch.zeros(3, 3)


seven = 7
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "width"), [("Mean", 24), ("rows", 8), ("made", 64)])
def test_a_class_a_function_and_a_module_are_taken(name, width, file, digits):
    extractor = choose(f"module:{file}:{name}", digits)
    x = torch.cat(list(examples(digits, "test", most=30)))
    assert extractor.width == width and extractor.features(x).shape == (30, width)
    assert extractor.hash == choose(f"module:{file}:{name}", digits, 5).hash


def test_what_the_module_gives_is_the_feature(file, digits):
    x = torch.cat(list(examples(digits, "test", most=30)))
    assert torch.equal(choose(f"module:{file}:rows", digits).features(x), x.sum(3).flatten(1))


def test_another_source_has_another_hash(file, digits):
    first = choose(f"module:{file}:rows", digits).hash
    file.write_text(OWN.replace("x.sum(3)", "x.sum(2)"), encoding="utf-8")
    assert choose(f"module:{file}:rows", digits).hash != first


def test_an_importable_module_is_found_by_its_dotted_name(file, digits, monkeypatch):
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.delitem(sys.modules, "own", raising=False)
    assert choose("module:own:rows", digits).hash == choose("own:rows", digits).hash


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Meen", "the file defines Mean, Needs, "),
        ("Needs", "cannot be made without arguments"),
        ("noisy", "make it repeatable"),
        ("whole", "torch.int64"),
        ("one", "return floats"),
        ("lost", "not finite"),
        ("wrong", "fails on examples of shape 4x1x8x8: RuntimeError"),
        ("seven", "is int; give a torch module"),
    ],
)
def test_a_module_that_cannot_serve_is_refused_in_words(name, said, file, digits):
    with pytest.raises(InputError, match=said):
        choose(f"module:{file}:{name}", digits)


def test_a_file_that_cannot_run_is_refused_in_words(tmp_path, digits):
    (tmp_path / "own.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    with pytest.raises(InputError, match="ModuleNotFoundError"):
        choose(f"module:{tmp_path / 'own.py'}:Net", digits)


@pytest.fixture
def scripted(tmp_path):
    """A TorchScript file with the call of the published one."""
    (tmp_path / "net.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n"
        "    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:\n"
        "        assert img.dtype == torch.uint8 and img.shape[1] == 3\n"
        "        found = img.float().mean((2, 3))\n"
        "        return found if return_features else found[:, :1]\n",
        encoding="utf-8",
    )
    import importlib.util
    import warnings

    located = importlib.util.spec_from_file_location("scripted_net", tmp_path / "net.py")
    module = importlib.util.module_from_spec(located)
    located.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module.Net()).save(str(tmp_path / "net.pt"))
    return tmp_path / "net.pt"


def test_a_torchscript_inception_gets_whole_pixels_and_gives_its_features(scripted, digits, monkeypatch):
    extractor = choose(f"inception:{scripted}", digits)
    x = torch.cat(list(examples(digits, "test", most=30)))
    want = (x * 255).round().mean((2, 3)).expand(-1, 3)
    assert extractor.width == 3
    torch.testing.assert_close(extractor.features(x), want)
    monkeypatch.setenv("ELBOROOM_INCEPTION", str(scripted))
    assert choose("inception", digits).hash == extractor.hash


def test_a_file_that_is_no_torchscript_is_refused(tmp_path, digits):
    (tmp_path / "weights.pt").write_bytes(b"PK" * 100)
    with pytest.raises(InputError, match="no TorchScript network"):
        choose(f"inception:{tmp_path / 'weights.pt'}", digits)


def test_inception_takes_images_only(scripted, table):
    with pytest.raises(Unable, match="images of 1 or 3 channels"):
        choose(f"inception:{scripted}", table)
