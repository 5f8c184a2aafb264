"""What a recipe leaves behind: one JSON file with the values, their goals, the commands, the machine and the versions.

A result says what was measured, never where it lies on this machine: no path, no host name. A goal is written
before the measurement, in the recipe; `met` follows from it, and a shortened run has none.
"""

from __future__ import annotations

import datetime
import json
import operator
import os
import platform
import re
import statistics
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "Result",
    "Row",
    "as_json",
    "figure",
    "holds",
    "load_all",
    "machine",
    "median_of_ratios",
    "table",
    "today",
    "versions",
]

RESULTS = Path(__file__).parent / "results"
HOLDS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}


@dataclass
class Row:
    """One figure and what it is held against."""

    measure: str
    value: float | None
    """None: not measured in this run; `how` says why."""
    unit: str
    goal: str = ""
    """A bound such as "<= 0.20" or "0.1170 +- 0.0005"; "" where the figure only stands beside another."""
    low: float | None = None
    high: float | None = None
    how: str = ""
    """What value, low and high are: median of how many ratios, mean of how many seeds ..."""
    met: bool | None = None
    """None: no goal, no value or a shortened run."""


@dataclass
class Result:
    """A recipe's outcome."""

    name: str
    what: str
    protocol: str
    shortened: str = ""
    """"" for the full protocol, else how it was cut short; then nothing is judged."""
    data: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    took_s: float = 0.0

    def add(self, measure: str, value: float | None, unit: str, goal: str = "", **words: Any) -> None:
        """Add a row and judge it by its goal."""
        row = Row(measure, value, unit, goal, **words)
        if value is not None and goal and not self.shortened:
            row.met = holds(value, goal)
        self.rows.append(row)

    def write(self, folder: Path = RESULTS) -> Path:
        """NAME.json in `folder`; a shortened run is NAME.short.json, so that it never stands for the real one."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}{'.short' if self.shortened else ''}.json"
        path.write_text(json.dumps(as_json(self), indent=1) + "\n", encoding="utf-8")
        return path


def holds(value: float, goal: str) -> bool:
    """Whether a value keeps its goal: `<= 0.2`, `>= 0.9` or `0.1170 +- 0.0005`."""
    around = re.fullmatch(r"([\d.]+) \+- ([\d.]+)", goal)
    if around:
        return abs(value - float(around[1])) <= float(around[2])
    sign, bound = goal.split()
    return bool(HOLDS[sign](value, float(bound)))


def median_of_ratios(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """(median, lower quartile, upper quartile) of the ratios of the turns that stood side by side."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


def machine(threads: int) -> dict[str, Any]:
    """The machine in words, without its name."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    about = dict(re.findall(r"^(model name|vendor_id|cpu family|model|flags)\s*: (.+)$", info, re.M))
    flags = set(about.get("flags", "").split())
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "processor": about.get("model name", platform.processor()),
        "family": " ".join(
            [about.get("vendor_id", "?"), *(f"{k} {about.get(k, '?')}" for k in ("cpu family", "model"))]
        ),
        "features": sorted(flags & {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile"}),
        "processors_used": cpus,
        "threads": threads,
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "load_at_start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Versions of what the elboroom side ran with."""
    out = {"python": platform.python_version()}
    for name in ("elboroom", "torch", "numpy", "scikit-learn"):
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "from source"
    return out


def as_json(result: Result) -> dict[str, Any]:
    """Plain JSON types, as in the file."""
    return asdict(result)


def today() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")


def load_all(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Every full result in a folder, by name."""
    paths = [p for p in sorted(folder.glob("*.json")) if not p.name.endswith(".short.json")]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def figure(value: float, digits: int = 4) -> str:
    """So many digits, without an exponent where a whole number says as much."""
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"


def table(results: list[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    lines = ["| recipe | measure | value | goal | |", "|---|---|---|---|---|"]
    for result in results:
        for row in result["rows"]:
            verdict = {True: "met", False: "**missed**", None: ""}[row["met"]]
            value = "not measured" if row["value"] is None else f"{figure(row['value'])} {row['unit']}".strip()
            if row["low"] is not None:
                value += f" ({figure(row['low'])} to {figure(row['high'])})"
            lines.append(f"| {result['name']} | {row['measure']} | {value} | {row['goal']} | {verdict} |")
    return "\n".join(lines) + "\n"
