"""What a verb writes: arrays, tables, pictures, in the form that the ending of its file names.

One table of endings, one small writer for each. A file or folder appears whole under its name or not at all, and never
over another one unasked. Tables keep the order and the names of the input.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elboroom.artifacts.files import output
from elboroom.core.errors import InputError, nearest
from elboroom.core.spec import Column

if TYPE_CHECKING:
    from elboroom.sheets import Sheet

__all__ = ["Result", "check", "check_page", "disarmed", "frame", "per_example", "write", "write_bytes"]

Cells = Sequence[Any] | np.ndarray

SHEET_LIMIT = 2500
"""Most pictures in one sheet."""
SHOWN_PAIRS = 10
"""Originals over their reconstructions."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a verb has to write; every array has one entry a row, in the order of the input."""

    name: str
    """"x" or "z": what `values` are called in an .npz file."""
    values: np.ndarray
    """(rows, ...): numbers in the user's units; images are (rows, channels, height, width)."""
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further arrays by name: z_sd or x_sd, label, index."""
    columns: tuple[Column, ...] = ()
    """Of `values` where they are a table; a categorical one is written by its names."""
    classes: tuple[str, ...] = ()
    """Names of the labels."""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What the input calls its rows, by the name of that column."""
    white: float = 1.0
    """Images: the value of a white pixel; black is 0."""
    across: int = 0
    """Pictures in a row of a sheet; 0 chooses."""
    original: np.ndarray | None = None
    """What a reconstruction is compared with in a sheet."""

    @property
    def pictures(self) -> bool:
        """Whether the values are images."""
        return self.name == "x" and self.values.ndim == 4


def check(path: Path, *, force: bool = False, pictures: bool | None = None) -> None:
    """Refuse, before anything is computed, an ending that has no form and a name that is taken."""
    _writer(path, pictures)
    _check_free(path, force)


def check_page(path: Path, *, force: bool = False) -> None:
    """The same for a page of HTML."""
    if path.suffix.lower() != ".html":
        raise InputError(f"{path}: this is written as HTML; name a file that ends in .html")
    _check_free(path, force)


def write(path: Path, result: Result, *, force: bool = False) -> None:
    """Write the result in the form that the ending of `path` names."""
    writer = _writer(path, result.pictures)
    with output(path, force=force) as place:
        writer(place, result)


def write_bytes(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write a file whose content is made elsewhere."""
    with output(path, force=force) as place:
        place.write_bytes(data)


def per_example(measures: Mapping[str, np.ndarray]) -> Result:
    """One row an example, one column a measure, as a table."""
    columns = [name for name in measures if name not in ("index", "label")]
    values = np.stack([np.asarray(measures[name], dtype=np.float64) for name in columns], axis=1)
    beside = {name: np.asarray(measures[name]) for name in ("index", "label") if name in measures}
    return Result(name="measures", values=values, beside=beside, columns=tuple(Column(name=name) for name in columns))


def frame(result: Result) -> dict[str, Cells]:
    """The result as named columns: the input's row names, then the values, then what stands beside them."""
    flat = result.values.reshape(len(result.values), -1)
    columns = result.columns if len(result.columns) == flat.shape[1] else _numbered(result, flat.shape[1])
    out: dict[str, Cells] = {name: list(values) for name, values in result.names.items()}
    if "index" in result.beside and not (result.columns and result.name == "x"):
        out.setdefault("index", result.beside["index"])
    for i, column in enumerate(columns):
        out[_free(column.name, out)] = _named_cells(flat[:, i], column)
    for name, values in result.beside.items():
        if name == "label":
            out[_free("label", out)] = _labels(values, result.classes)
        elif name != "index":
            stem = "z" if name == "z_sd" else name
            suffix = "_sd" if name == "z_sd" else ""
            wide = values.reshape(len(values), -1)
            for i in range(wide.shape[1]):
                called = f"{columns[i].name}_sd" if name == "x_sd" else f"{stem}{i}{suffix}"
                out[_free(called, out)] = wide[:, i]
    return out


def _numbered(result: Result, count: int) -> tuple[Column, ...]:
    stem = "pixel" if result.pictures else result.name
    return tuple(Column(name=f"{stem}{i}") for i in range(count))


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _named_cells(values: np.ndarray, column: Column) -> Cells:
    if column.kind != "categorical" or not column.categories or not np.issubdtype(values.dtype, np.number):
        return values
    last = len(column.categories) - 1
    nearest_index = np.clip(np.rint(np.nan_to_num(values)), 0, last).astype(np.int64).tolist()
    known = np.isfinite(values).tolist()
    return [column.categories[i] if k else "" for i, k in zip(nearest_index, known, strict=True)]


def _labels(values: np.ndarray, classes: tuple[str, ...]) -> Cells:
    if not classes or not np.issubdtype(values.dtype, np.integer):
        return values
    return [classes[v] if 0 <= v < len(classes) else "" for v in values.tolist()]


# ---- the forms --------------------------------------------------------------------------------------------------


def _write_npy(place: Path, result: Result) -> None:
    held = io.BytesIO()  # numpy's own writing to a file hides why a disk refused it
    np.save(held, result.values, allow_pickle=False)
    place.write_bytes(held.getbuffer())


def _write_npz(place: Path, result: Result) -> None:
    arrays = {result.name: result.values, **result.beside}
    for name, values in result.names.items():
        arrays.setdefault(name if name.isidentifier() else "name", np.asarray(values, dtype=np.str_))
    np.savez_compressed(place, allow_pickle=False, **arrays)


def _write_csv(place: Path, result: Result, delimiter: str = ",") -> None:
    columns = frame(result)
    with place.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        rows.writerow([disarmed(name) for name in columns])
        rows.writerows(zip(*[_texts(values) for values in columns.values()], strict=True))


def _write_tsv(place: Path, result: Result) -> None:
    _write_csv(place, result, delimiter="\t")


def _write_parquet(place: Path, result: Result) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: pa.array(values) for name, values in frame(result).items()}
    parquet.write_table(pa.table(columns), place)


def _write_jsonl(place: Path, result: Result) -> None:
    columns = frame(result) if not result.pictures else {"index": _index(result), "x": list(result.values)}
    names = list(columns)
    with place.open("w", encoding="utf-8") as file:
        for row in zip(*columns.values(), strict=True):
            cells = {name: _json_cell(value) for name, value in zip(names, row, strict=True)}
            file.write(json.dumps(cells, ensure_ascii=False, allow_nan=False) + "\n")


def _write_h5ad(place: Path, result: Result) -> None:
    """Codes in obsm["X_elboroom"]; a reconstruction in layers["elboroom"] over the original as X; filled cells as X and
    in layers["elboroom"], their standard deviations in layers["elboroom_sd"]."""
    import anndata
    import h5py
    import pandas as pd

    flat = result.values.reshape(len(result.values), -1)
    named = next(iter(result.names.values()), None)
    rows = [str(v) for v in (_index(result) if named is None else named)]
    obs = pd.DataFrame(index=pd.Index(rows, dtype=object))
    if "label" in result.beside:
        obs["label"] = [str(v) for v in _labels(result.beside["label"], result.classes)]
    if result.name == "z":
        data = anndata.AnnData(obs=obs)
        data.obsm["X_elboroom"] = flat
        if "z_sd" in result.beside:
            data.obsm["X_elboroom_sd"] = result.beside["z_sd"]
    else:
        columns = result.columns if len(result.columns) == flat.shape[1] else _numbered(result, flat.shape[1])
        var = pd.DataFrame(index=pd.Index([c.name for c in columns], dtype=object))
        first = flat if result.original is None else result.original.reshape(len(flat), -1)
        data = anndata.AnnData(X=first, obs=obs, var=var)
        if result.original is not None or "x_sd" in result.beside:
            data.layers["elboroom"] = flat
        if "x_sd" in result.beside:
            data.layers["elboroom_sd"] = result.beside["x_sd"]
    held = io.BytesIO()  # HDF5 crashes the process where it closes a file on a full disk
    with h5py.File(held, "w") as file:
        anndata.io.write_elem(file, "/", data)
    place.write_bytes(held.getbuffer())


def _write_png(place: Path, result: Result) -> None:
    place.write_bytes(_sheet(result).png())


def _write_svg(place: Path, result: Result) -> None:
    import base64

    sheet = _sheet(result)
    height, width = sheet.pixels.shape[:2]
    size = f'width="{width}" height="{height}"'
    data = base64.b64encode(sheet.png()).decode()
    place.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}"><title>{sheet.caption}</title>'
        f'<image {size} style="image-rendering:pixelated" href="data:image/png;base64,{data}"/></svg>\n',
        encoding="utf-8",
    )


def _write_folder(place: Path, result: Result) -> None:
    from PIL import Image

    place.mkdir()
    digits = max(5, len(str(len(result.values) - 1)))
    for i, picture in enumerate(_bytes(result.values, result.white)):
        held = picture[0] if len(picture) == 1 else np.ascontiguousarray(np.moveaxis(picture[:3], 0, -1))
        Image.fromarray(held).save(place / f"{i:0{digits}d}.png", format="PNG")


WRITERS: dict[str, Callable[[Path, Result], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
    ".h5ad": _write_h5ad,
    ".png": _write_png,
    ".svg": _write_svg,
    "": _write_folder,
}
_ONLY_PICTURES = (".png", ".svg", "")


def _check_free(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; --force replaces it, or name another place")


def _writer(path: Path, pictures: bool | None) -> Callable[[Path, Result], None]:
    ending = path.suffix.lower()
    if ending not in WRITERS:
        known = [name for name in WRITERS if name]
        raise InputError(
            f"{path}: there is no form for {ending!r}{nearest(ending, known)}; endings: {' '.join(known)}, "
            "or none for a folder of pictures"
        )
    if pictures is False and ending in _ONLY_PICTURES:
        what = ending or "a folder of pictures"
        raise InputError(f"{path}: these are no pictures, so {what} has no form for them; .csv or .npy has")
    return WRITERS[ending]


def _index(result: Result) -> np.ndarray:
    return result.beside.get("index", np.arange(len(result.values)))


def _sheet(result: Result) -> Sheet:
    """All pictures in rows, or the first ten originals over their reconstructions."""
    from elboroom import sheets

    values = _bytes(result.values, result.white)
    if len(values) > SHEET_LIMIT:
        raise InputError(f"a sheet holds at most {SHEET_LIMIT:,} pictures, these are {len(values):,}; .npy holds all")
    factor = sheets.zoom(*values.shape[2:])
    gap = 2 if values.shape[1] >= 3 else 0
    if result.original is None:
        columns = result.across or (8 if len(values) <= 64 else math.ceil(math.sqrt(len(values))))
        pixels = sheets.grid(sheets.colours(values), min(columns, len(values)), gap=gap, factor=factor)
        return sheets.Sheet(pixels, f"{len(values)} pictures, row by row. Each pixel {factor}x.")
    pairs = [_bytes(result.original, result.white)[:SHOWN_PAIRS], values[:SHOWN_PAIRS]]
    rows = [sheets.grid(sheets.colours(p), len(p), gap=gap, factor=factor) for p in pairs]
    caption = f"Top: the first {len(pairs[0])} originals. Bottom: their reconstructions. Each pixel {factor}x."
    return sheets.Sheet(sheets.stack(rows), caption)


def _bytes(values: np.ndarray, white: float) -> np.ndarray:
    """Pictures as bytes, black 0 and white 255."""
    held: np.ndarray = np.rint(np.clip(np.nan_to_num(values) / white, 0, 1) * 255).astype(np.uint8)
    return held


# ---- cells ------------------------------------------------------------------------------------------------------


def _texts(values: Cells) -> list[str]:
    if isinstance(values, np.ndarray) and np.issubdtype(values.dtype, np.floating):
        texts = values.astype(np.str_).tolist()  # the shortest digits that give the same float back
        known = np.isfinite(values).tolist()
        return [t.removesuffix(".0") if k else "" for t, k in zip(texts, known, strict=True)]
    return [str(v) if isinstance(v, int | np.integer) else disarmed(str(v)) for v in values]


def disarmed(text: str) -> str:
    """Text that a spreadsheet would run as a formula gets a quote in front; a number stays one."""
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _json_cell(value: Any) -> Any:
    plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain
