"""Whatever is asked, the answer is one that the OpenAPI document tells of: seeded bodies, right, wrong and broken."""

from __future__ import annotations

import copy
import json
import random
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from elboroom.fitting import fit
from elboroom.run import Run
from served import Client

CASES = 300
"""For each run."""
WILD = [None, True, -1, 0, 3, -0.0, 0.5, 1e308, -1e-320, 2**53, 2**70, 10**400, "", "a", "\x00", "\ud800", "é" * 3000,
        [], [[]], {}, {"a": 1}, [1, "a"], [[1.0]], [None], [[None]], ["all"], {"$ref": "#"}]  # fmt: skip
BROKEN = [b"", b"null", b"[]", b'"x"', b"{", b'{"x": [1}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"x": NaN}', b"{}{}",
          b"\x00", b'{"x": 1e999}', b"[" * 5000, b'{"a":' * 3000, b'{"x": [[1]], "x": []}',
          b'{"x": "\\ud800"}']  # fmt: skip
SEGMENTS = ["a", "..", "%2e%2e", "%00", "a%2Fb", "x" * 65, "x" * 3000, "%F0%9F%98%80", "%ff", "a?b=c", ";", "-._A9"]


@pytest.fixture(scope="module")
def series_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("fuzz")
    t = np.arange(600)
    x = np.stack([np.sin(t / 5), np.cos(t / 9)], 1) + np.random.default_rng(0).normal(size=(600, 2)) / 20
    text = "".join(f"{a:.4f},{b:.4f}\n" for a, b in x)
    (folder / "pump.csv").write_text(f"a,b\n{text}", encoding="utf-8")
    return fit("forecaster", str(folder / "pump.csv"), run=folder / "run", settings={"hidden": 16}, steps=20, threads=1)


# -- does a value have a schema's form? ----------------------------------------------------------------------------

NUMBERS = {"minimum": lambda v, x: v >= x, "maximum": lambda v, x: v <= x, "exclusiveMinimum": lambda v, x: v > x}
TYPES: dict[str, Any] = {"array": list, "object": dict, "string": str, "boolean": bool, "null": type(None),
                         "integer": int, "number": (int, float)}  # fmt: skip
KNOWN = {*NUMBERS, "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum", "items", "title",
         "pattern", "maxItems", "maxLength", "minItems", "minLength", "properties", "required", "type"}  # fmt: skip


def faults(value: Any, schema: Any, parts: dict[str, Any], at: str = "") -> list[str]:
    """What in a value is not as its JSON schema says; words of a schema that are not known here are refused."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return faults(value, parts[schema["$ref"].rpartition("/")[2]], parts, at)
    if "anyOf" in schema:
        tried = [faults(value, one, parts, at) for one in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: none of {len(tried)} forms"]
    if "type" in schema:
        wrong = not isinstance(value, TYPES[schema["type"]]) or (
            isinstance(value, bool) and schema["type"] != "boolean"
        )
        if wrong:
            return [f"{at}: {value!r:.80} is no {schema['type']}"]
    found = [f"{at}: {value!r:.80} is not {schema['const']!r}"] if value != schema.get("const", value) else []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r:.80} is none of {schema['enum']}")
    for name, fits in NUMBERS.items():
        if name in schema and not fits(value, schema[name]):
            found.append(f"{at}: {value} breaks {name}")
    if isinstance(value, list):
        for i, one in enumerate(value):
            found += faults(one, schema.get("items", {}), parts, f"{at}[{i}]")
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, one in value.items():
            if name in schema["properties"]:
                found += faults(one, schema["properties"][name], parts, f"{at}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{at}: {name} is not told of")
    return found


def test_the_check_of_forms_finds_what_is_wrong() -> None:
    parts = {"One": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"],
                     "additionalProperties": False}}  # fmt: skip
    schema = {"type": "array", "items": {"anyOf": [{"$ref": "#/components/schemas/One"}, {"type": "null"}]}}
    assert faults([{"n": 1}, None], schema, parts) == []
    for wrong in ({}, [1], [{}], [{"n": 0}], [{"n": 1.5}], [{"n": True}], [{"n": 1, "m": 2}]):
        assert faults(wrong, schema, parts), wrong


# -- what is asked -------------------------------------------------------------------------------------------------


class Asking:
    """Bodies by a document's schemas, and by examples that this run can read."""

    def __init__(self, document: dict[str, Any], examples: dict[str, Any], seed: int) -> None:
        self.parts, self.examples, self.rng = document["components"]["schemas"], examples, random.Random(seed)
        self.addresses = [(path, method.upper(), operation) for path, methods in document["paths"].items()
                          for method, operation in methods.items()]  # fmt: skip

    def request(self, path: str, operation: Any) -> tuple[str, Any, dict[str, str]]:
        """Path, body and headers for one address."""
        rng, headers = self.rng, {}
        for parameter in operation.get("parameters", ()):
            path = path.replace(f"{{{parameter['name']}}}", rng.choice([*SEGMENTS, "a"]))
        if rng.random() < 0.05:
            headers["Authorization"] = rng.choice(["", "Bearer x", "Basic eA==", "Bearer \xff"])
        if "requestBody" not in operation:
            return path, None, headers
        if rng.random() < 0.05:
            headers["Content-Type"] = rng.choice(["text/plain", "application/json; charset=latin-1", ""])
        if rng.random() < 0.15:
            return path, rng.choice(BROKEN), headers
        body = self.body(operation["requestBody"]["content"]["application/json"]["schema"], path)
        text = json.dumps(body).encode()
        return path, self.cut(text) if rng.random() < 0.1 else text, headers

    def body(self, schema: Any, path: str) -> Any:
        """An example or a made-up body, as it is or with some of it exchanged."""
        example = self.examples.get(path)
        made = copy.deepcopy(example) if example and self.rng.random() < 0.6 else self.made(schema)
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            made = self.changed(made)
        return self.bounded(made)

    def made(self, schema: Any, depth: int = 0) -> Any:
        """A value that the schema allows, as far as it goes."""
        rng = self.rng
        if "$ref" in schema:
            return self.made(self.parts[schema["$ref"].rpartition("/")[2]], depth)
        if "anyOf" in schema:
            return self.made(rng.choice(schema["anyOf"]), depth + 1)
        kind = schema.get("type")
        if kind == "object":
            wanted = schema.get("required", ())
            return {name: self.made(one, depth + 1) for name, one in schema.get("properties", {}).items()
                    if name in wanted or rng.random() < 0.3}  # fmt: skip
        if kind == "array":
            least = schema.get("minItems", 0)
            return [self.made(schema.get("items", {}), depth + 1) for _ in range(least + rng.randrange(3))]
        if kind in ("integer", "number"):
            low = schema.get("minimum", schema.get("exclusiveMinimum", -2))
            whole = rng.choice([low, low + 1, 1, 2, schema.get("maximum", 4)])
            return whole if kind == "integer" else rng.choice([whole, 0.5, 0.9])
        if kind == "string":
            return rng.choice(["the ", "a", "b", "2026-01-01"])
        return rng.random() < 0.5 if kind == "boolean" else None if kind == "null" else rng.choice(WILD)

    def changed(self, value: Any) -> Any:
        """A value with one place in it exchanged, taken away or doubled."""
        rng = self.rng
        if isinstance(value, dict) and value and rng.random() < 0.9:
            name = rng.choice(sorted(value))
            what = rng.random()
            if what < 0.1:
                return {key: one for key, one in value.items() if key != name}
            if what < 0.2:
                return {**value, name + rng.choice(["s", "\x00", " "]): value[name]}
            return {**value, name: self.changed(value[name])}
        if isinstance(value, list) and value and rng.random() < 0.8:
            i = rng.randrange(len(value))
            return [*value[:i], *([self.changed(value[i])] * rng.choice([0, 1, 1, 1, 2])), *value[i + 1 :]]
        return copy.deepcopy(rng.choice(WILD))

    def cut(self, text: bytes) -> bytes:
        """A text with a byte lost, changed or put in."""
        i = self.rng.randrange(len(text))
        return text[:i] + self.rng.choice([b"", b"\x80", b'"', b"[", bytes([self.rng.randrange(256)])]) + text[i + 1 :]

    @staticmethod
    def bounded(body: Any) -> Any:
        """Nothing that would rightly take long."""
        if isinstance(body, dict):
            for name in ("max_tokens", "n", "best_of"):
                if type(body.get(name)) is int and 20 < body[name] <= 20_000:
                    body[name] = 20
        return body


def check(document: dict[str, Any], operation: Any, status: int, kind: str, text: bytes) -> list[str]:
    """How an answer differs from what the document tells of its address."""
    if str(status) not in operation["responses"]:
        return [f"status {status} is not told of"]
    content = operation["responses"][str(status)]["content"]
    if kind not in content:
        return [f"{kind} is not told of for {status}"]
    if kind == "text/event-stream":
        events = re.findall(rb"^data: (.*)$", text, re.MULTILINE)
        read = [event == b"[DONE]" or isinstance(json.loads(event), dict) for event in events]
        return [] if read and all(read) else ["no events"]
    if kind != "application/json":
        return [] if text.decode() else ["empty"]
    return faults(json.loads(text), content[kind]["schema"], document["components"]["schemas"])


def example(which: str, client: Client) -> dict[str, Any]:
    """Bodies that this run can read."""
    if which == "text":
        return {"/v1/completions": {"prompt": "the ", "max_tokens": 3, "seed": 1, "logprobs": 2, "stream": False}}
    if which == "series":
        return {"/detect": {"stream": "a", "rows": [[0.1, 0.2], [0.3, None]]}}
    rows = [[50.0, 9, "north"], [None, 14, "east"]] if which == "table" else np.ones((2, 8, 8)).tolist()
    codes = client.post("/encode", x=rows)["z"]
    return {"/encode": {"x": rows}, "/reconstruct": {"x": rows}, "/decode": {"z": codes},
            "/sample": {"n": 2, "seed": 1, "mean": False, "temperature": 1.0}}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("which", ["text", "images", "table", "series"])
def test_every_answer_is_one_that_the_document_tells_of(
    which: str, served_run: Any, text_run: Run, digits_run: Run, table_run: Run, series_run: Run
) -> None:
    run = {"text": text_run, "images": digits_run, "table": table_run, "series": series_run}[which]
    found, seen = [], Counter[int]()
    with served_run(run, slots=8, queue=64, streams=8) as (_, client):
        _, document = client.ask("GET", "/openapi.json")
        asking = Asking(document, example(which, client), seed=20)
        for case in range(CASES):
            path, method, operation = asking.addresses[case % len(asking.addresses)]
            own, body, headers = asking.request(path, operation)
            with client.send(method, own, body, headers) as answer:
                status, kind, text = answer.status, answer.headers.get_content_type(), answer.read()
                seen[status] += 1
                found += [f"{method} {own[:60]} {body!r:.300}: {status} {text[:200]!r}: {fault}"
                          for fault in check(document, operation, status, kind, text)]  # fmt: skip
        assert client.ask("GET", "/health")[0] == 200
    assert not found, "\n".join(found[:10])
    assert seen[200] > CASES // 10 and seen[400] > CASES // 10 and seen[401], seen
