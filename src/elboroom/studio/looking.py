"""What a page reads of one run: settings, measures, pictures, log, checks, report. Nothing here changes a run."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from typing import Any

from elboroom.core import registry
from elboroom.core.errors import InputError

from .history import parsed
from .jobs import Jobs, ask, tail_of
from .shelf import Found, Missing, identity
from .summary import changed_s, measures, read_json, state_of

__all__ = ["Checks", "details", "listed_files", "log_lines", "media", "media_bytes", "media_said",
    "page_of", "report"]  # fmt: skip

MOST_MEDIA, LARGEST_MEDIA, LARGEST_FILES, MOST_SAID = 2000, 64 << 20, 500, 1000
_EPOCH = re.compile(r"(epoch|step)-0*(\d+)")
_KINDS = {".png": "image/png", ".txt": "text/plain; charset=utf-8"}
Json = dict[str, Any]


def details(found: Found, summary: Json, jobs: Jobs) -> Json:
    """One run: its summary, what was asked for and chosen, measures, what can be seen of it."""
    meta, _ = read_json(found.path / "run.json")
    state, why = state_of(found.path, meta) if meta else (summary["state"], summary["why"])
    data = meta.get("data") or {}
    job = jobs.of_run(found.id)
    began = float(job["started_s"]) if job else 0.0
    return {
        **summary,
        "state": state,
        "why": why,
        "settings": _settings(meta),
        "budget": meta.get("budget") or {},
        "runtime": meta.get("runtime") or {},
        "choices": meta.get("choices") or {},
        "versions": meta.get("versions") or {},
        "parameters": meta.get("parameters"),
        "kept": meta.get("kept"),
        "command": str(meta.get("command") or ""),
        "reading": {
            **{k: data.get(k) for k in ("name", "spec", "reading", "fingerprint", "split", "problems", "named")},
            "set": bool(data.get("source")) and not Path(str(data["source"])).is_absolute(),
        },
        "measures": measures(found.path),
        "media": media(found),
        "checkpoints": sorted(p.name for p in (found.path / "checkpoints").glob("step-*")),
        "job": job["key"] if job else "",
        "job_later": began > changed_s(found.path / "run.json"),
        "stopping": jobs.stopping(found.path),
    }


def _settings(meta: Json) -> list[Json]:
    """Each setting with its default and meaning, as far as the model is known here."""
    given = meta.get("settings") if isinstance(meta.get("settings"), dict) else {}
    try:
        fields = {f.name: f for f in registry.entry(str(meta.get("model"))).fields}
    except InputError:
        fields = {}
    rows = []
    for name, value in (given or {}).items():
        field = fields.get(name)
        default = list(field.default) if field and isinstance(field.default, tuple) else field and field.default
        rows.append({"name": name, "value": value, "default": default, "known": field is not None,
                     "differs": field is not None and default != value, "doc": field.doc if field else ""})  # fmt: skip
    return rows


# ---- pictures -----------------------------------------------------------------------------------------------------


def media(found: Found) -> list[Json]:
    """Pictures and texts of a run, each with an id made of its name; links are left out."""
    rows = []
    for path in _media(found.path / "media"):
        name = path.relative_to(found.path / "media").as_posix()
        when = _EPOCH.search(path.stem)
        status = path.stat()
        rows.append({"id": identity(name), "name": name, "kind": path.suffix[1:], "group": name.split("/")[0],
            "unit": when[1] if when else "", "at": int(when[2]) if when else None, "bytes": status.st_size,
            "stamp": status.st_mtime_ns % 10**12})  # fmt: skip
    return rows


def _media(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.rglob("*")):
        linked = any(p.is_symlink() for p in (path, *path.parents[: len(path.relative_to(folder).parts) - 1]))
        if path.suffix in _KINDS and not linked and path.is_file() and not path.name.startswith("."):
            found.append(path)
    if len(found) <= MOST_MEDIA:
        return found
    return sorted(sorted(found, key=lambda path: path.stat().st_mtime_ns)[-MOST_MEDIA:])


def media_bytes(found: Found, id: str) -> tuple[bytes, str]:
    """(content, media type) of one picture or text. Raises Missing."""
    for path in _media(found.path / "media"):
        if identity(path.relative_to(found.path / "media").as_posix()) == id:
            if path.stat().st_size > LARGEST_MEDIA:
                raise InputError(f"media/{path.name}: larger than any picture a run draws; open it from the folder")
            return path.read_bytes(), _KINDS[path.suffix]
    raise Missing


def media_said(found: Found, id: str) -> Json:
    """{"said", "width", "height"} of a picture: the caption it carries, and its size. Raises Missing or InputError."""
    from PIL import Image

    content, kind = media_bytes(found, id)
    if kind != _KINDS[".png"]:
        return {"said": "", "width": 0, "height": 0}
    try:
        with Image.open(io.BytesIO(content)) as picture:
            said = str(picture.info.get("Description") or "").strip()
            return {"said": said[:MOST_SAID], "width": picture.width, "height": picture.height}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError("this picture is damaged") from None


def listed_files(found: Found) -> list[Json]:
    """Names and sizes of the files of a run."""
    rows = []
    for path in sorted(found.path.rglob("*"))[: LARGEST_FILES * 2]:
        if path.is_file() and not path.is_symlink():
            rows.append({"name": path.relative_to(found.path).as_posix(), "bytes": path.stat().st_size})
    return rows[:LARGEST_FILES]


# ---- words --------------------------------------------------------------------------------------------------------


def log_lines(found: Found, jobs: Jobs, last: int) -> Json:
    """The run's own log, and what the process said that this studio started."""
    job = jobs.of_run(found.id)
    return {"log": tail_of(found.path / "log.txt", last), "said": jobs.said(job["key"], last) if job else []}


def report(found: Found, state: str) -> str:
    """The report that `elboroom report` writes; of a run that is not done it is made anew from what there is."""
    from elboroom.report import build

    path = found.path / "report.html"
    if state == "done" and path.is_file() and not path.is_symlink():
        return page_of(path)
    return build(found.path)


def page_of(path: Path) -> str:
    """A page that a run or a sweep wrote. Raises Missing where there is none, or a link in its place."""
    if not path.is_file() or path.is_symlink():
        raise Missing
    return path.read_text(encoding="utf-8", errors="replace")


class Checks:
    """Findings of `diagnose`: those of a finished run from its files, of a running one asked for now and then."""

    EVERY_S = 20.0

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self._held: dict[Path, tuple[float, list[Any], int, str]] = {}

    async def of(self, found: Found) -> Json:
        """{"findings", "why", "step"}: what was found and as of which step, or why nothing could be."""
        details, _ = read_json(found.path / "details.json")
        if isinstance(details.get("checks"), list):
            return {"findings": _worded(details["checks"]), "why": ""}
        meta, _ = read_json(found.path / "run.json")
        state = state_of(found.path, meta)[0] if meta else ""
        at, held, step, then = self._held.get(found.path, (-1e9, [], 0, state))
        if time.monotonic() - at < self.EVERY_S and state == then:
            return {"findings": held, "why": "" if held else "nothing to check yet", "step": step}
        self._held[found.path] = (time.monotonic(), held, step, state)  # one question at a time
        said = await ask(["diagnose", str(found.path)], timeout_s=60, cwd=self._cwd)
        if said.code or not isinstance(said.document, dict):
            return {"findings": held, "why": said.message or "not checked yet", "step": step}
        findings, step = _worded(said.document.get("findings") or []), _steps(found.path)
        self._held[found.path] = (time.monotonic(), findings, step, state)
        return {"findings": findings, "why": "", "step": step}


def _steps(path: Path) -> int:
    """The last step of the history; 0 where there is none."""
    rows = parsed([line.encode() for line in tail_of(path / "history.jsonl", 2)])
    return int(rows[-1].get("step") or 0) if rows else 0


def verdict(found: Found) -> Json:
    """{"verdict"}: what a report of a finished run begins with; "" before its end, or where it has none."""
    from elboroom.report.contents import read_run
    from elboroom.report.verdict import verdict as of

    meta, _ = read_json(found.path / "run.json")
    if not meta or state_of(found.path, meta)[0] != "done":
        return {"verdict": ""}
    return {"verdict": of(read_run(found.path))}


def _worded(listed: list[Any]) -> list[Json]:
    from elboroom.report.words import CHECKS, clean

    rows = []
    for one in listed:
        if isinstance(one, dict):
            name, level = str(one.get("name")), str(one.get("level"))
            pair = CHECKS.get(name, (clean(name), clean(name)))
            rows.append({"name": name, "level": level, "head": pair[0 if level == "ok" else 1],
                "why": str(one.get("why") or ""), "try": str(one.get("try") or ""),
                "since_step": one.get("since_step")})  # fmt: skip
    order = {"alarm": 0, "warn": 1, "ok": 2}
    return sorted(rows, key=lambda row: order.get(row["level"], 1))
