"""What a sweep found: each measure of each setting, as the mean over its seeds with a 95 % interval.

The seeds are the sample: with three of them the interval is Student's t and wide, which is what three runs say. One
seed has no interval, whatever the interval of that one run over its examples is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from elboroom.metrics.interval import mean_interval

__all__ = ["settings_table"]


def settings_table(members: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a setting: its values under "over", "seeds" that are done, and "measures" by name.

    A measure is {"value", "low", "high", "unit", "n", "values"}; low and high are null where one seed was measured.
    `members` are those of sweep.json.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for member in members:
        rows.setdefault(json.dumps(member["over"], sort_keys=True), []).append(member)
    table = []
    for group in rows.values():
        done = [member for member in group if member["state"] == "done"]
        names = dict.fromkeys(name for member in done for name in member["metrics"])
        table.append(
            {
                "over": group[0]["over"],
                "seeds": [member["seed"] for member in done],
                "measures": {name: _over_seeds(name, done) for name in names},
            }
        )
    return table


def _over_seeds(name: str, members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = [member["metrics"][name] for member in members if name in member["metrics"]]
    values = [float(m["value"]) for m in found if isinstance(m["value"], int | float) and math.isfinite(m["value"])]
    out: dict[str, Any] = {"value": None, "low": None, "high": None, "unit": found[0].get("unit", ""), "n": len(values)}
    if values:
        interval = mean_interval(np.asarray(values))
        if out["unit"] == "share":
            interval = interval.within(0, 1)
        out["value"] = interval.value
        if len(values) > 1 and math.isfinite(interval.low):
            out["low"], out["high"] = interval.low, interval.high
    return {**out, "values": values}
