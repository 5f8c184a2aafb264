"""JSON in and out: one form of error for everything that goes wrong, bodies checked field by field.

An error is {"error": {"message", "type", "param", "code"}}, the form that clients of OpenAI's interface read. Its
message is the one that the command line gives.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from elboroom.core.errors import ElboroomError, Stopped, Unable, nearest

__all__ = ["Answer", "Form", "Refusal", "as_refusal", "document", "error_body", "wanted"]

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """A request that is not carried out, and why."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, dict(headers or {})


class Form(BaseModel):
    """A body: plain JSON types without conversion, no unknown fields, no numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


Wanted = TypeVar("Wanted", bound=Form)


class Answer(Response):
    """A JSON document; numbers that are not finite are null."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(document(content), status_code, headers)


def document(content: Any) -> bytes:
    """JSON in UTF-8."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:  # rare: looked for only when there is one
        text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


async def wanted(request: Request, form: type[Wanted]) -> Wanted:
    """The body as that form; another one is refused with the field's name."""
    try:
        return form.model_validate_json(await request.body())
    except ValidationError as error:
        raise _misread(error, form) from None


def _misread(error: ValidationError, form: type[Form]) -> Refusal:
    """The first thing that is wrong, in one sentence."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return Refusal(400, f"the body is no JSON: {first['msg'].removeprefix('Invalid JSON: ')}", code="bad_json")
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        hint = nearest(name, form.model_fields) or f"; fields: {', '.join(form.model_fields)}"
        return Refusal(400, f"there is no field {name[:100]!r}{hint}", code="unknown_field", param=name[:100])
    if not name:
        return Refusal(400, "the body must be a JSON object", code="bad_json")
    about = form.model_fields[name].description or ""
    return Refusal(400, f"{name}: {first['msg']}; it is {about}", code="bad_value", param=name)


def as_refusal(error: Exception) -> Refusal:
    """How an error of ours, or of the router's, is told over HTTP."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Unable):
        return Refusal(409, str(error), code="unable")
    if isinstance(error, Stopped):
        return Refusal(503, str(error), code="stopped")
    if isinstance(error, ElboroomError):
        return Refusal(400, str(error), code="bad_input")
    if isinstance(error, HTTPException):
        said = {404: "there is nothing at this address", 405: "this address takes another method"}
        message = f"{said.get(error.status_code, error.detail)}; /openapi.json lists them all"
        return Refusal(error.status_code, message, code="address", headers=error.headers)
    return Refusal(500, "a fault of ours; the server's own messages say more", code="fault")


def error_body(refusal: Refusal) -> dict[str, Any]:
    """The document of a refusal."""
    kind = _TYPES.get(refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error")
    return {
        "error": {"message": str(refusal), "type": kind, "param": refusal.param, "code": refusal.code or None},
    }
