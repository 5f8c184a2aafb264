"""The OpenAPI document of a server, and the page that shows it: both from one table of addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .forms import STREAM_ID, ErrorBody

__all__ = ["Address", "openapi", "page"]

SAID = {
    400: "A wrong request; the message says what is wrong and what to do.",
    401: "The token is missing or another.",
    403: "The Host, Origin or Sec-Fetch-Site header is not that of this server.",
    404: "There is no such model, completion or stream.",
    408: "The body came too slowly.",
    409: "The model of this run cannot do that; the message names those that can.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    429: "No room; ask again after the seconds that Retry-After names.",
    503: "The server is stopping.",
}
EVERYWHERE = (400, 403, 408, 413)


@dataclass(frozen=True, kw_only=True)
class Address:
    """One address as its readers need to know it."""

    method: str
    path: str
    summary: str
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | str
    """Its form, or a media type."""
    errors: tuple[int, ...] = ()
    streams: bool = False
    """Whether server-sent events may come instead."""
    public: bool = False
    """Whether it needs no token."""


def openapi(addresses: Sequence[Address], version: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    taken = {a.body for a in addresses if a.body is not None}
    given = {a.answer for a in addresses if not isinstance(a.answer, str)} | {ErrorBody}
    forms = sorted(taken | given, key=lambda form: form.__name__)
    _, schemas = models_json_schema(
        [(form, "validation") for form in forms], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, Any] = {}
    for address in addresses:
        paths.setdefault(address.path, {})[address.method.lower()] = _operation(address)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "elboroom",
            "version": version,
            "description": "One run of elboroom over HTTP, on this machine alone.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(address: Address) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if isinstance(address.answer, str):
        content[address.answer] = {"schema": {} if "json" in address.answer else {"type": "string"}}
    else:
        content["application/json"] = {"schema": _ref(address.answer)}
    if address.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    statuses = {*EVERYWHERE, *address.errors, *(() if address.public else (401,)), *((415,) if address.body else ())}
    answers: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    for status in sorted(statuses):
        answers[str(status)] = {
            "description": SAID[status],
            "content": {"application/json": {"schema": _ref(ErrorBody)}},
        }
    operation: dict[str, Any] = {
        "operationId": _name(address),
        "summary": address.summary,
        "responses": answers,
        "security": [] if address.public else [{"token": []}],
    }
    names = re.findall(r"{(\w+)}", address.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": STREAM_ID}}
            for name in names
        ]
    if address.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(address.body)}},
        }
    return operation


def _ref(form: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{form.__name__}"}


def _name(address: Address) -> str:
    words = re.findall(r"\w+", address.path) or ["page"]
    return "_".join([address.method.lower(), *words]).replace("openapi_json", "openapi")


# -- the page ------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>elboroom serve</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884 }
code { font: 14px ui-monospace, monospace } h2 { font-size: 1.1rem; margin: 2rem 0 0 } p { margin: .2rem 0 }
</style></head><body>
<h1>elboroom serve</h1>
<p>One run over HTTP, on this machine alone. Every address but those marked <em>public</em> needs the header
<code>Authorization: Bearer TOKEN</code> with the token that <code>elboroom serve</code> printed. Bodies are JSON.
The same as a document: <a href="/openapi.json">openapi.json</a>.</p>
{% for address in addresses %}
<h2><code>{{ address.method }} {{ address.path }}</code>{% if address.public %} <em>public</em>{% endif %}</h2>
<p>{{ address.summary }}</p>
{% if address.body %}<table><tr><th>field</th><th>what it is</th></tr>
{% for name, field in address.body.model_fields.items() %}<tr><td><code>{{ name }}</code></td>
<td>{{ field.description }}{% if field.is_required() %} (needed){% endif %}</td></tr>
{% endfor %}</table>{% endif %}
{% endfor %}</body></html>
"""


def page(addresses: Sequence[Address]) -> str:
    """A page without scripts: every address with its fields."""
    return Environment(autoescape=True).from_string(PAGE).render(addresses=addresses)
