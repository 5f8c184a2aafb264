"""What a reader said of a run's events: marks "not an event", kept beside the runs and read by no model.

One CSV file a run under the studio's own folder, so that the run's folder stays what training left. A mark names the
data by their fingerprint: the same file judged again finds it, another file with the same name does not. Names that a
spreadsheet would run as a formula stand behind a quote, as in every table that is written here.
"""

from __future__ import annotations

import csv
import datetime
import io
from pathlib import Path
from threading import Lock
from typing import Any

from elboroom.artifacts import files
from elboroom.core.errors import InputError
from elboroom.outputs import disarmed

from .forms import Marked

__all__ = ["HEAD", "Labels"]

HEAD = ("data", "fingerprint", "series", "start", "stop", "first", "last", "label", "marked")
"""Rows start <= row < stop, counted from 0, and the times of the first and the last of them."""
NONE = "not an event"
MOST = 10_000
Json = dict[str, Any]


class Labels:
    """The marks of all runs of a shelf."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()

    def path(self, run: str) -> Path:
        """Where the marks of a run stand; `run` is an id that was found on the shelf."""
        return self.folder / f"{run}.csv"

    def of(self, run: str) -> list[Json]:
        """All marks, the oldest first; none where nothing was marked."""
        try:
            text = self.path(run).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        try:
            rows = list(csv.DictReader(io.StringIO(text), strict=True))
            return [
                {
                    **{key: _read(text) for key, text in row.items()},
                    "start": int(row["start"]),
                    "stop": int(row["stop"]),
                }
                for row in rows
            ]
        except (AttributeError, csv.Error, KeyError, TypeError, ValueError):
            raise InputError(f"{self.path(run).name}: is no list of marks any more; move it away") from None

    def mark(self, run: str, form: Marked) -> list[Json]:
        """Say that rows are no event, or take that back; gives all marks. Marks that overlap are replaced."""
        if form.stop <= form.start:
            raise InputError(f"rows {form.start:,} to {form.stop:,} hold no row")
        with self._lock:
            kept = [one for one in self.of(run) if not _same(one, form)]
            if form.none:
                if len(kept) >= MOST:
                    raise InputError(f"there are {MOST:,} marks already; take some back")
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                kept.append({**form.model_dump(exclude={"none"}), "label": NONE, "marked": now})
            out = io.StringIO()
            writer = csv.DictWriter(out, HEAD, lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: _written(one[key]) for key in HEAD} for one in kept)
            files.make_folder(self.folder)
            files.write_text(self.path(run), out.getvalue())
        return kept

    def table(self, run: str) -> str:
        """The file itself; its head alone where nothing was marked."""
        path = self.path(run)
        return path.read_text(encoding="utf-8") if path.is_file() else ",".join(HEAD) + "\n"


def _written(value: Any) -> Any:
    """A cell of the file. A quote that a name begins with is doubled, so that it is not taken for one put there."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith("'") else disarmed(value)


def _read(text: str) -> str:
    """The inverse of `_written`."""
    return text.removeprefix("'")


def _same(one: Json, form: Marked) -> bool:
    """Whether a mark is of the same data and shares a row."""
    same = one["fingerprint"] == form.fingerprint and one["series"] == form.series
    return bool(same and one["start"] < form.stop and form.start < one["stop"])
