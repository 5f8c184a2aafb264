"""The model card: what a stranger must know before using the weights, made by rule from run.json and metrics.json.

Mitchell et al. 2019 (arXiv 1810.03993) ask for details, use, data, measures and limits. What the run cannot know (who
may be harmed, who owns the data) is asked of the reader in so many words, never invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elboroom.artifacts.files import read_json, write_text
from elboroom.artifacts.run import RunFolder
from elboroom.core import registry
from elboroom.core.errors import InputError
from elboroom.report.numbers import written
from elboroom.report.quality import QUALITY
from elboroom.report.quality_words import quality_where
from elboroom.report.verdict import compared
from elboroom.report.words import measure

__all__ = ["build", "write"]

FEW = 200
"""Held-out examples under which intervals are wide enough to say so."""
CAN = {
    "Continues": "goes on with a text",
    "Classifies": "names a class",
    "Forecasts": "says what comes next in a series",
    "Follows": "follows a series row by row",
    "Attends": "shows where it looks",
    "Looks": "shows where its pixels look",
    "Gates": "shows what flows inside its cells",
    "Sizes": "chooses its size",
    "Draws": "makes an example of given noise",
    "Judges": "says how real an example looks",
}
"""Abilities that their name alone does not say."""


def write(path: str | Path) -> Path:
    """Write RUN/card.md and give its path."""
    folder = RunFolder.open(path)
    write_text(folder.card, build(folder.path))
    return folder.card


def build(path: str | Path) -> str:
    """The card of the run in this folder, as Markdown."""
    folder = RunFolder.open(path)
    meta = folder.meta
    metrics = read_json(folder.metrics) if folder.metrics.is_file() else {}
    details = read_json(folder.details) if folder.details.is_file() else {}
    parts = [
        _title(meta),
        _data(meta),
        _use(meta),
        _measures(meta, metrics, details),
        _limits(meta, metrics, details),
        _repeat(meta),
    ]
    return "\n".join(parts)


def _title(meta: Mapping[str, Any]) -> str:
    budget, kept = meta["budget"], meta.get("kept") or {}
    rows = [
        ("model", _summary(meta["model"])),
        ("parameters", f"{meta['parameters']:,}"),
        ("networks", "its own" if meta["networks"] == "built-in" else "the user's; their code is not in the run"),
        ("trained", f"{meta['step']:,} steps of {budget['batch_size']} examples"),
        ("weights", f"step {kept['step']:,}, chosen by {kept['measure']}" if kept else "of the last step"),
        ("state", meta["state"] + (f": {meta['why']}" if meta.get("why") else "")),
        ("made by", f"{meta['created_by']}, {meta['started']}"),
    ]
    return f"# {meta['name'] or meta['model']}\n\n{_table(('', ''), rows)}"


def _summary(model: str) -> str:
    """The model's own first line, where its file is at hand."""
    try:
        return f"{model}: {registry.entry(model).summary}"
    except InputError:
        return model


def _data(meta: Mapping[str, Any]) -> str:
    data = meta["data"]
    spec, split = data["spec"], data["split"]
    counts = ", ".join(f"{count:,} {part}" for part, count in split["counts"].items())
    rows = [
        ("set", data["name"]),
        ("kind", _kind(spec, data.get("reading") or {})),
        ("parts", f"{counts} ({split['how']})"),
        ("fingerprint", f"`{data['fingerprint']}`"),
        ("terms", _licence(data["name"])),
    ]
    if spec["classes"]:
        rows.insert(2, ("classes", f"{len(spec['classes'])}; used in training only where the model says so"))
    text = f"## Data\n\n{_table(('', ''), rows)}"
    if data["problems"]:
        text += "\nFound when reading: " + "; ".join(data["problems"]) + ".\n"
    return text


def _kind(spec: Mapping[str, Any], reading: Mapping[str, Any]) -> str:
    """What one example is."""
    shape = " x ".join(str(n) for n in spec["shape"])
    if spec["kind"] == "text":
        tokens = f"{spec['levels']:,} different ones (--tokenizer {reading.get('tokenizer') or 'auto'})"
        return f"text, one example is a window of {shape} tokens, {tokens}"
    return f"{spec['kind']}, one example is {shape}, scale {spec['scale']}"


def _licence(name: str) -> str:
    from elboroom.data.catalog import find

    try:
        found = find(name)
    except InputError:
        found = None
    if found is None:
        return "not known to elboroom: whoever shares these weights must say under which terms the data may be used"
    return f"{found[0].licence} ({found[0].origin})"


def _use(meta: Mapping[str, Any]) -> str:
    try:
        abilities = registry.entry(meta["model"]).abilities
    except InputError:
        abilities = ()
    can = ", ".join(CAN.get(a, a.lower()) for a in abilities) or "what its file says"
    likely = "What it writes is likely, not checked to be true.\n" if "Continues" in abilities else ""
    return (
        "## Use\n\n"
        f"The model {can}. It is meant for data like those above, read the same way;\n"
        f"what it says of other data is not measured here. It is not meant for decisions about people.\n{likely}"
        "Whoever publishes it adds here whom it may harm.\n\n"
        '```python\nimport elboroom as elbo\n\nrun = elbo.load("FOLDER")\n```\n'
    )


def _measures(meta: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], details: Mapping[str, Any]) -> str:
    if not metrics:
        return f"## Measures\n\nNone were taken (state: {meta['state']}).\n"
    rows = []
    for key, found in metrics.items():
        shown = written(found["value"], found.get("low"), found.get("high"), unit=str(found.get("unit") or ""))
        beside = "; ".join(f"{r['name']} {written(r['value'])}" for r in found.get("references") or [])
        rows.append((f"{measure(key).label} (`{key}`)", shown, f"{found['n']:,} {found['split']}", beside))
    text = _table(("measure", "value, 95 % interval", "taken on", "beside it"), rows)
    said = "How each was made stands in `metrics.json` under `how`.\n"
    where = quality_where(dict(details)) if any(key in metrics for key in QUALITY) else ""
    if where:
        said += f"\nSample quality is measured on {where}; it does not compare with other extractors or numbers.\n"
    return f"## Measures\n\n{text}\n{said}"


def _limits(meta: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], details: Mapping[str, Any]) -> str:
    said = []
    counts = [int(m["n"]) for m in metrics.values() if m.get("n")]
    if counts and min(counts) < FEW:
        said.append(f"some measures rest on {min(counts):,} examples only: read their intervals")
    for outcome, phrase in (("wins", "does better"), ("same", "cannot be told apart from it")):
        rivals: dict[str, list[str]] = {}
        for key, found in metrics.items():
            rival = compared(key, dict(found))
            if rival is not None and rival.outcome == outcome:
                rivals.setdefault(rival.name, []).append(f"`{key}`")
        said += [f"{name}, which is simpler, {phrase} by {', '.join(keys)}" for name, keys in rivals.items()]
    warning = (details.get("memorisation") or {}).get("warning")
    said += [str(warning).rstrip(".")] if warning else []
    for finding in details.get("checks") or []:
        if finding.get("level") != "ok":
            said.append(f"{finding['name'].replace('_', ' ')}: {finding['why']}")
    if meta["state"] != "done":
        said.append(f"the run did not end as planned (state: {meta['state']})")
    said.append("one run with one seed: how much another seed would differ is not in the intervals")
    return "## Limits\n\n" + "".join(f"- {line}\n" for line in said)


def _repeat(meta: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in meta["versions"].items())
    runtime = ", ".join(f"{name} {value}" for name, value in meta["runtime"].items())
    settings = ", ".join(f"{name} {value}" for name, value in meta["settings"].items())
    text = "## To repeat it\n\n"
    if meta["command"]:
        text += f"```sh\n{meta['command']}\n```\n\n"
    return text + f"Settings: {settings}.\n\nRuntime: {runtime}.\n\nVersions: {versions}.\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
