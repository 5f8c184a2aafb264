"""A run folder in, one HTML file out: complete with scripts off, from disk, by mail, on paper.

The page loads nothing: pictures are data addresses, charts are SVG, and a policy in its head forbids every request,
every style but its own and every script but the one whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import galleries, latent, measures, record, text, verdict
from .attention_section import attention
from .classes import class_by_class, classes, mistakes
from .code_law import code_law
from .colors import style_sheet
from .contents import Contents, read_run
from .copying import context_and_copying
from .curves import training
from .denoising import denoising
from .figures import logo
from .forecasts import forecasts
from .layout import Section
from .memory_section import memory
from .modes import modes
from .names import printable, shown_name, shown_text
from .numbers import written
from .pictures import Picture
from .quality import quality_tables, sample_quality
from .sample_figures import looks, neighbours, truncation, varied
from .words import STATES

__all__ = ["on_paper", "on_phones", "page", "report_html"]

FOLDER = Path(__file__).parent


def report_html(folder: Path) -> str:
    """The whole report of one run folder."""
    contents = read_run(folder)
    sections = _sections(contents)
    pictures = [picture for section in sections for figure in section.figures for picture in figure.pictures]
    first, whole, said = record.settings(contents)
    found, unchecked = record.checks(contents)
    command, versions = record.repeat(contents)
    listed = [(s.id, s.heading) for s in sections] + [("checks", "Checks"), ("repeat", "Repeat this run")]
    data = record.data(contents)
    listed[-1:-1] = [("data", "Data"), ("settings", "Settings")]
    glyph, color = STATES.get(contents.state, STATES["stopped"])
    return page(
        "page.html",
        on_phones(pictures) + on_paper(contents.name, "report, run") + "".join(s.rules for s in sections),
        "".join(s.script for s in sections),
        name=shown_name(contents.name),
        title=verdict.title(contents),
        verdict=verdict.verdict(contents),
        state={"word": contents.state, "glyph": glyph, "css": color},
        when=_when(contents),
        message=_message(contents),
        contents=listed,
        headlines=measures.headlines(contents),
        sections=_numbered(sections),
        checks=found,
        unchecked=unchecked,
        data=data,
        settings_first=first,
        settings_whole=whole,
        settings_said=said,
        choices=record.choices(contents),
        command=command,
        versions=versions,
        created_by=shown_name(contents.meta.get("created_by") or "elboroom"),
    )


SECTIONS: list[Callable[[Contents], Section | None]] = [
    training,
    sample_quality,
    quality_tables,
    modes,
    classes,
    class_by_class,
    mistakes,
    forecasts,
    text.standing,
    text.writing,
    context_and_copying,
    galleries.reconstruction,
    denoising,
    measures.by_column,
    galleries.samples,
    varied,
    truncation,
    looks,
    neighbours,
    galleries.manifold,
    latent.latent_code,
    code_law,
    attention,
    memory,
    measures.all_measures,
]
"""The figures' sections in the order of the page; what a kind of run does not have gives None."""


def _sections(contents: Contents) -> list[Section]:
    made = [_made(section, contents) for section in SECTIONS]
    return [section for section in made if section is not None]


def _made(section: Callable[[Contents], Section | None], contents: Contents) -> Section | None:
    """A section; where it cannot be made one sentence with the reason stands in its place, and a warning tells it."""
    try:
        return section(contents)
    except Exception as error:
        heading = section.__name__.replace("_", " ").capitalize()
        why = f"{type(error).__name__}: {shown_text(error)}"
        warnings.warn(f"report of {contents.name}: {heading}: {why}", stacklevel=2)
        return Section(section.__name__, heading, sentences=[f"This part could not be drawn: {why}."])


def _numbered(sections: list[Section]) -> list[Section]:
    """Figures counted through the page; a figure without a caption is a link only."""
    number = 0
    for section in sections:
        for figure in section.figures:
            if figure.caption:
                number += 1
                figure.number = number
    return sections


def _when(contents: Contents) -> list[str]:
    """Date, time taken and seed, for the right end of the first line."""
    runtime, took = contents.part("runtime"), contents.meta.get("took_s")
    said = [written(str(contents.meta.get("started") or ""), form="date")]
    seconds = float(took) if isinstance(took, int | float) and took > 0 else contents.history.time_s
    threads = runtime.get("threads")
    device = str(runtime.get("device") or "cpu")
    if seconds > 0:
        on = (
            f" on {threads} CPU thread{'' if threads == 1 else 's'}"
            if isinstance(threads, int) and device == "cpu"
            else f" on {device}"
        )
        said.append(written(seconds, form="time") + on)
    if isinstance(runtime.get("seed"), int):
        said.append(f"seed {runtime['seed']}")
    return [s for s in said if s != "none"]


def _message(contents: Contents) -> dict[str, str] | None:
    """What a run that is not done says of itself: what happened, what is kept, what to do (LOOK sections 8 and 9)."""
    if contents.state == "done":
        return None
    why = str(contents.meta.get("why") or "").strip()
    what = {
        "running": "This run is not at its end: the report shows it so far.",
        "failed": why or "The reason is not known; log.txt may hold it.",
        "stopped": why or "It was stopped before its end; the reason was not written.",
    }.get(contents.state, why)
    kept = sorted((contents.folder / "checkpoints").glob("step-*"))
    step = kept[-1].name.removeprefix("step-").lstrip("0") or "0" if kept else ""
    said = {"what": what[:1].upper() + what[1:]}
    if step.isdigit():
        said["kept"] = f"The state of step {int(step):,}" + (
            " and all curves up to it." if contents.history.rows else "."
        )
    if contents.state != "running":
        said["do"] = "elboroom resume " + _quoted(contents.name)
    return said


def _quoted(name: str) -> str:
    """A name as a shell takes it."""
    import shlex

    return shlex.quote(name)


def _printable(value: Any) -> Any:
    """Every text the templates put out passes here; what the drawing functions made has passed already."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def on_phones(pictures: list[Picture]) -> str:
    """Style rules that set each sheet at its whole factor of a narrow page."""
    for number, picture in enumerate(pictures, 1):
        picture.id = f"sheet-{number}"
    rules = [
        f"#{p.id}{{width:{p.width * p.narrow}px;height:{p.height * p.narrow}px}}"
        for p in pictures
        if p.narrow != p.factor
    ]
    return f"@media screen and (max-width:719px){{{''.join(rules)}}}" if rules else ""


def on_paper(name: str, what: str) -> str:
    """The run's name at the foot of every printed page; every character but letters and digits as its code."""
    safe = "".join(c if c.isalnum() and c.isascii() else f"\\{ord(c):x} " for c in shown_name(name))
    return f'@page{{@bottom-left{{content:"elboroom {what} {safe}";font:9pt sans-serif;color:#5f656f}}}}'


def page(template: str, rules: str = "", further: str = "", **values: Any) -> str:
    """A template with the house's style, script and policy, and `further` script; everything in `values` is escaped."""
    style, script = style_sheet() + rules, (FOLDER / "page.js").read_text(encoding="utf-8") + further
    own = f"style-src {_hash(style)}; script-src {_hash(script)}"
    policy = f"default-src 'none'; img-src data:; {own}; base-uri 'none'; form-action 'none'"
    return _environment().get_template(template).render(
        style=Markup(style), script=Markup(script), policy=policy, logo=logo(), **values
    )  # fmt: skip


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
