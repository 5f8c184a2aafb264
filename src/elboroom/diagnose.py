"""What went wrong in a run, since when, and what to try: rules over its history, metrics and details. No torch.

Each rule (`elboroom.checks`) is a pure function of what the run folder holds and gives a finding even when all is well,
so that a reader sees what was looked at. A rule that has nothing to look at (no validation part, no rate) gives none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elboroom.checks import adversarial, latent, recurrent, series, training
from elboroom.checks.record import Finding, Record, read_record

__all__ = ["Finding", "Record", "diagnose", "findings", "read_record"]

RULES = (*training.RULES, *latent.RULES, *recurrent.RULES, *series.RULES, *adversarial.RULES)


def diagnose(folder: Path | str) -> list[dict[str, Any]]:
    """The findings of a run folder, as CONTRACT's `diagnose --json` lists them."""
    return [finding.to_json() for finding in findings(read_record(folder))]


def findings(record: Record) -> list[Finding]:
    """Every rule that has something to look at, worst first; of two that give one name, the worse."""
    order = {"alarm": 0, "warn": 1, "ok": 2}
    found = [finding for rule in RULES if (finding := rule(record)) is not None]
    found.sort(key=lambda finding: order[finding.level])
    worst = {finding.name: finding for finding in reversed(found)}
    return [finding for finding in found if worst[finding.name] is finding]
