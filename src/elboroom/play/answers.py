"""What the asks of play share: the run that is held, arrays as JSON, what is asked for checked field by field."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from elboroom.core.errors import InputError, nearest
from elboroom.web.answers import Form

if TYPE_CHECKING:
    from elboroom.run import Run

__all__ = ["Handler", "Json", "Player", "checked", "packed"]

Json = dict[str, Any]


@dataclass
class Player:
    """A run, and a place for what is kept between asks: a name begins with that of its module."""

    run: Run
    held: dict[str, Any] = field(default_factory=dict)


Handler = Callable[[Player, Json], Json | Iterator[Json]]
"""Takes what is asked for as it came; raises InputError where that is wrong, Unable where the run cannot."""
Wanted = TypeVar("Wanted", bound=Form)


def packed(array: ArrayLike) -> Json:
    """{"dtype", "shape", "bytes"}: little-endian bytes in base64, of a dtype that a page has a typed array for."""
    values = np.ascontiguousarray(array)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    text = base64.b64encode(values.tobytes()).decode("ascii")
    return {"dtype": values.dtype.name, "shape": list(np.shape(array)), "bytes": text}


def checked(form: type[Wanted], given: Json) -> Wanted:
    """What is asked for as that form. Raises InputError with the name of the first field that is wrong."""
    try:
        return form.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        hint = nearest(name, form.model_fields) or f"; fields: {', '.join(form.model_fields) or 'none'}"
        raise InputError(f"there is no field {name[:100]!r}{hint}")
    about = form.model_fields[name].description if name in form.model_fields else ""
    raise InputError(f"{name or 'what is asked for'}: {first['msg']}" + (f"; it is {about}" if about else ""))
