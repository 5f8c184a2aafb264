"""Image files: a folder, a zip of one, or encoded pictures in a column.

Sub-folders are classes; `train` and `test` above them are the set's own parts. Formats are decided by content, never by
name, and only five are allowed; a picture that cannot be read is skipped and told, up to a tenth of them.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from elboroom.core.errors import InputError
from elboroom.core.spec import Spec

from .content import Array, Content
from .limits import CLASSES, FILES, IMAGE_BYTES, PIXELS, expansion, named, readable
from .reading import Reading
from .storage import allocate

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Picture", "decode_all", "read_folder", "read_zip"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
PARTS = {"train": 0, "training": 0, "valid": 1, "val": 1, "validation": 1, "test": 2, "testing": 2}
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
SKIPPED_SHARE = 0.1
FALLBACK_SIZE = (64, 64)
BATCH = 1024


@dataclass(frozen=True)
class Picture:
    """One encoded image: its name and how to open it."""

    name: str
    open: Callable[[], IO[bytes]]


def read_folder(path: Path, reading: Reading, like: Spec | None) -> Content:
    """Every image below a folder; links out of it are not followed."""
    root = path.resolve()
    pictures, other = [], Counter[str]()
    with named(path):
        for folder, below, files in os.walk(root):
            below.sort()
            for name in sorted(files):
                file = Path(folder) / name
                if name.startswith("."):
                    continue
                if file.suffix.lower() not in ENDINGS:
                    other[file.suffix.lower() or name] += 1
                    continue
                inside = not file.is_symlink() or file.resolve().is_relative_to(root)
                opener = _file(file) if inside else _outside
                pictures.append(Picture(file.relative_to(root).as_posix(), opener))
                if len(pictures) > FILES:
                    raise InputError(f"{path}: more than {FILES:,} images; split the folder")
    if not pictures:
        raise InputError(f"{path}: no images in this folder ({', '.join(ENDINGS)}), nor IDX or Parquet files")
    return _labelled(pictures, str(path), reading, like, other)


def _file(path: Path) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        size = path.stat().st_size
        if size > IMAGE_BYTES:
            raise ValueError(f"{size:,} bytes, above {IMAGE_BYTES:,}")
        return path.open("rb")

    return opened


def _outside() -> IO[bytes]:
    raise ValueError("a link to a file outside the folder")


def read_zip(path: Path, reading: Reading, like: Spec | None) -> Content:
    """A zip of such a folder, read without unpacking it to disk."""
    readable(path)
    with (
        named(path, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
        zipfile.ZipFile(path) as archive,
    ):
        members = [m for m in archive.infolist() if not m.is_dir()]
        if len(members) > FILES:
            raise InputError(f"{path}: {len(members):,} members, above {FILES:,}")
        pictures, other = [], Counter[str]()
        for member in sorted(members, key=lambda m: m.filename):
            name = PurePosixPath(member.filename)
            if name.is_absolute() or ".." in name.parts or "\\" in member.filename or "\0" in member.filename:
                raise InputError(f"{path}: member {member.filename!r} points out of the archive; such a zip is refused")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"{path}: member {member.filename!r} is a link; such a zip is refused")
            if name.name.startswith(".") or "__MACOSX" in name.parts:
                continue
            if name.suffix.lower() not in ENDINGS:
                other[name.suffix.lower() or name.name] += 1
                continue
            expansion(f"{path}: {member.filename}", member.file_size, member.compress_size)
            if member.file_size > IMAGE_BYTES:
                raise InputError(f"{path}: {member.filename}: {member.file_size:,} bytes, above {IMAGE_BYTES:,}")
            pictures.append(Picture(member.filename, _member(archive, member)))
        if not pictures:
            raise InputError(f"{path}: no images in this zip ({', '.join(ENDINGS)})")
        return _labelled(pictures, str(path), reading, like, other)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: io.BytesIO(archive.read(member))


def _batches(pictures: list[Picture]) -> Iterable[list[Picture]]:
    return (pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH))


def _labelled(pictures: list[Picture], where: str, reading: Reading, like: Spec | None, other: Counter[str]) -> Content:
    """Decode, then read parts and classes from the folders the files lie in."""
    if reading.label:
        raise InputError(f"--label {reading.label}: labels of image files are their sub-folders; leave the flag out")
    content, kept = decode_all(lambda: _batches(pictures), where, reading, like)
    if other:
        listed = ", ".join(f"{n} {ending}" for ending, n in other.most_common(4))
        content.problems.append(
            f"{sum(other.values())} files are no images by their ending and were left out: {listed}"
        )
    paths = [PurePosixPath(name).parts[:-1] for name in kept]
    while len({p[:1] for p in paths}) == 1 and paths[0] and paths[0][0].lower() not in PARTS:
        if len({p[1:2] for p in paths}) == 1 and not any(p[1:] for p in paths):
            break
        paths = [p[1:] for p in paths]
    first = {p[0].lower() if p else "" for p in paths}
    if first <= set(PARTS) and any(PARTS[name] == 0 for name in first):
        content.own = np.array([PARTS[p[0].lower()] for p in paths], np.int8)
        paths = [p[1:] for p in paths]
    content.identifiers["file"] = np.array(kept, dtype=object)
    if all(paths):
        names, label = np.unique([p[0] for p in paths], return_inverse=True)
        if len(names) > CLASSES:
            raise InputError(f"{where}: {len(names):,} class folders, above {CLASSES:,}")
        content.label, content.classes = label.astype(np.int64), tuple(str(n) for n in names)
    elif any(paths):
        content.problems.append("images lie both in the folder itself and in sub-folders: no labels read")
    return content


def decode_all(
    batches: Callable[[], Iterable[Sequence[Picture]]], where: str, reading: Reading, like: Spec | None
) -> tuple[Content, list[str]]:
    """All pictures in one size and number of channels, as bytes; and the names of those that could be read, in order.

    The batches are walked twice, once for sizes and once for pixels, so that no more than one is held encoded.
    """
    skipped: dict[str, str] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of large images and odd EXIF; what matters is checked here
        heads: list[tuple[int, int, bool] | str] = []
        for batch in batches():
            found = list(pool.map(_head, batch))
            heads += found
            skipped |= {p.name: h for p, h in zip(batch, found, strict=True) if isinstance(h, str)}
        _bearable(skipped, len(heads), where)
        good = [h for h in heads if not isinstance(h, str)]
        size, problems = _common_size([h[:2] for h in good], reading, like)
        grey = all(h[2] for h in good)
        channels = reading.channels or (like.shape[0] if like else 1 if grey else 3)
        out = allocate((len(good), channels, *size), np.uint8, where)
        kept: list[str] = []
        for batch in batches():
            sound = [p for p in batch if p.name not in skipped]
            for picture, x in zip(sound, pool.map(partial(_pixels, size=size, channels=channels), sound), strict=True):
                if isinstance(x, str):
                    skipped[picture.name] = x
                else:
                    out[len(kept)] = x
                    kept.append(picture.name)
    _bearable(skipped, len(heads), where)
    if skipped:
        first = next(iter(skipped))
        problems.append(f"{len(skipped)} of {len(heads)} images were skipped (first: {first}: {skipped[first]})")
    return Content("images", out[: len(kept)], problems=problems), kept


def _bearable(skipped: dict[str, str], count: int, where: str) -> None:
    if skipped and (len(skipped) > SKIPPED_SHARE * count or len(skipped) == count):
        first = next(iter(skipped))
        raise InputError(
            f"{where}: {len(skipped)} of {count} images cannot be read, such as {first}: {skipped[first]}; "
            "mend them or take them out"
        )


def _opened(file: IO[bytes]) -> Image:
    from PIL import Image

    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, above {PIXELS:,}")
    return image


def _guarded(work: Callable[[], Any]) -> Any:
    """The result, or why there is none as text. Damaged pictures raise almost anything inside the decoders."""
    from PIL import Image, UnidentifiedImageError

    try:
        return work()
    except UnidentifiedImageError:
        return f"is none of {', '.join(FORMATS)}"
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    except (
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        MemoryError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        return f"damaged ({type(error).__name__})"


def _head(picture: Picture) -> tuple[int, int, bool] | str:
    """Height, width and whether it is grey, without decoding."""

    def work() -> tuple[int, int, bool]:
        with picture.open() as file, _opened(file) as image:
            turned = image.format in ("JPEG", "TIFF", "WEBP", "PNG") and image.getexif().get(0x0112, 1) >= 5
            height, width = (image.width, image.height) if turned else (image.height, image.width)
            return height, width, image.mode in GREY

    out: tuple[int, int, bool] | str = _guarded(work)
    return out


def _common_size(
    sizes: Iterable[tuple[int, int]], reading: Reading, like: Spec | None
) -> tuple[tuple[int, int], list[str]]:
    """The size all pictures are brought to: the one asked for, the run's, the commonest, or 64 x 64."""
    counts = Counter(sizes)
    target = reading.size or ((like.shape[1], like.shape[2]) if like else None)
    if target is None:
        (target, most), *_ = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if most < sum(counts.values()) / 2:
            target = FALLBACK_SIZE
    other = sum(n for size, n in counts.items() if size != target)
    if not other:
        return target, []
    few = ", ".join(f"{h}x{w}" for h, w in list(counts)[:3])
    more = " ..." if len(counts) > 3 else ""
    said = f"{other} images of other sizes ({few}{more}) were scaled and cropped to {target[0]}x{target[1]}"
    return target, [said]


def _pixels(picture: Picture, size: tuple[int, int], channels: int) -> Array | str:
    """(channels, height, width) bytes of one picture."""

    def work() -> Array:
        from PIL import Image, ImageOps

        with picture.open() as file, _opened(file) as source:
            if source.format == "JPEG":
                source.draft(None, (2 * size[1], 2 * size[0]))
            image: Image.Image = ImageOps.exif_transpose(source) if source.getexif() else source
            if image.mode.startswith("I"):  # 16 bits a pixel
                image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
            if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("L" if channels == 1 else "RGB")
            if (image.height, image.width) != size:
                image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BICUBIC)
            x = np.asarray(image)
            return x[None] if channels == 1 else x.transpose(2, 0, 1)

    out: Array | str = _guarded(work)
    return out
