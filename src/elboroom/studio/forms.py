"""The bodies that a page may send, field by field; anything else is refused with the field's name."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict

from elboroom.web.answers import Form

__all__ = ["Applied", "Binned", "Checked", "Command", "Comparison", "DataOf", "Estimated", "Marked", "Nothing",
    "Reading", "Restored", "Resumed", "Started", "UploadFile", "Uploaded"]  # fmt: skip

Short = Annotated[str, MaxLen(200)]
Ids = Annotated[list[Short], MinLen(1), MaxLen(500)]
Options = Annotated[dict[Short, Annotated[str, MaxLen(4000)]], MaxLen(100)]


class DataOf(BaseModel):
    """Where data come from: one of a named set, an upload, the data of a run."""

    model_config = ConfigDict(extra="forbid", strict=True)
    set: Short = ""
    upload: Short = ""
    run: Short = ""


class UploadFile(BaseModel):
    """One file that will come."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, MinLen(1), MaxLen(1000)]
    size: Annotated[int, Ge(0), Le(1 << 40)]
    changed: int | float | None = None


class Nothing(Form):
    """An empty object."""


class Binned(Form):
    """Runs for the bin."""

    runs: Ids
    """ids of runs"""


class Restored(Form):
    """Runs out of the bin."""

    tokens: Ids
    """what the bin answered"""


class Checked(Form):
    """A form to check."""

    model: Short
    """the name of a model"""
    options: Options
    """flags of fit without their hyphens, each with its text"""


class Started(Checked):
    """A form to start."""

    key: Short
    """made by the page once a press; the same key again is the same start"""
    data: DataOf
    """one of {set}, {upload}, {run}"""


class Estimated(Checked):
    """A form whose training is tried."""

    data: DataOf
    """one of {set}, {upload}, {run}"""


class Command(Form):
    """A pasted command line."""

    command: Annotated[str, MaxLen(8000)]
    """a call of elboroom fit"""


class Reading(Form):
    """Data to read."""

    data: DataOf
    """one of {set}, {upload}, {run}"""
    options: Options = {}
    """reading flags without their hyphens"""


class Resumed(Form):
    """A run to go on with."""

    key: Short
    """made by the page once a press"""
    steps: Annotated[int, Ge(0), Le(10**9)] = 0
    """steps beyond the plan"""


class Comparison(Form):
    """Runs to compare."""

    runs: Annotated[list[Short], MinLen(2), MaxLen(20)]
    """ids of two to twenty runs"""
    data: DataOf = DataOf()
    """one of {set}, {upload}, {run}; none of them: the held-out data that the runs share"""
    begin: bool = True
    """whether it is measured where it has not been"""


class Applied(Form):
    """A verb that a run is put to."""

    verb: Short
    """impute, classify, forecast, reconstruct, encode or sample"""
    data: DataOf = DataOf()
    """one of {set}, {upload}, {run}, for verbs that read data"""
    ending: Short = ".csv"
    """the form of the file"""
    count: Annotated[int, Ge(0), Le(1_000_000)] = 0
    """rows ahead of a forecast, examples of a draw; 0: as many as usual"""


class Marked(Form):
    """What a reader says of an event."""

    data: Short
    """the name of the data"""
    fingerprint: Short
    """of the data"""
    series: Short = ""
    """the name of the series; empty where there is one"""
    start: Annotated[int, Ge(0), Le(1 << 40)]
    """the event's first row, counted from 0"""
    stop: Annotated[int, Ge(1), Le(1 << 40)]
    """the row after its last"""
    first: Short = ""
    """the time of the first row"""
    last: Short = ""
    """the time of the last row"""
    none: bool
    """whether it is no event; false takes the mark back"""


class Uploaded(Form):
    """Files that will come."""

    name: Annotated[str, MinLen(1), MaxLen(1000)]
    """of the file or folder"""
    files: list[Any]
    """for each its name, size and time of change"""
