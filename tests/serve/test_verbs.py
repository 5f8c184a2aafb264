"""The verbs over a socket: each answer has its form and the numbers of the same verb in Python; OpenAPI tells all."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from elboroom import fitting
from elboroom.core import registry
from elboroom.data.reading import Reading
from elboroom.run import Run
from elboroom.serve import forms
from elboroom.serve.app import ADDRESSES
from elboroom.serve.applying import IDLE_S, Streams
from elboroom.web.answers import Refusal
from served import Client


@pytest.fixture(scope="module")
def images(digits_run: Run, served_run: Any) -> Iterator[Client]:
    with served_run(digits_run) as (_, client):
        yield client


@pytest.fixture(scope="module")
def table(table_run: Run, served_run: Any) -> Iterator[Client]:
    with served_run(table_run) as (_, client):
        yield client


@pytest.fixture(scope="module")
def series_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("series")
    t = np.arange(900)
    x = np.stack([np.sin(t / 5), np.cos(t / 9)], 1) + np.random.default_rng(0).normal(size=(900, 2)) / 20
    lines = [
        f"{np.datetime64('2026-01-01') + np.timedelta64(int(i), 'm')},{a:.4f},{b:.4f}" for i, (a, b) in enumerate(x)
    ]
    (folder / "pump.csv").write_text("time,a,b\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return fitting.fit("forecaster", str(folder / "pump.csv"), run=folder / "run",
                       settings={"hidden": 16}, steps=30, threads=1)  # fmt: skip


@pytest.fixture(scope="module")
def series(series_run: Run, served_run: Any) -> Iterator[Client]:
    with served_run(series_run, streams=3) as (_, client):
        yield client


def digits(n: int) -> list[Any]:
    from sklearn.datasets import load_digits

    return load_digits().images[:n].astype(int).tolist()  # type: ignore[no-any-return]


def test_images_are_encoded_decoded_and_reconstructed_as_in_python(images: Client, digits_run: Run) -> None:
    x = digits(5)
    codes = images.post("/encode", x=x)
    forms.Codes.model_validate(codes, strict=True)
    expected = digits_run.encode(np.array(x))
    assert np.array_equal(np.array(codes["z"], np.float32), expected.z)
    assert np.array_equal(np.array(codes["z_sd"], np.float32), expected.z_sd)
    decoded = images.post("/decode", z=codes["z"])
    forms.Examples.model_validate(decoded, strict=True)
    assert np.array_equal(np.array(decoded["x"], np.float32), digits_run.decode(expected.z))
    made = images.post("/reconstruct", x=x)
    forms.Reconstructed.model_validate(made, strict=True)
    assert np.array_equal(np.array(made["x"], np.float32), digits_run.reconstruct(np.array(x)).x)
    assert np.array_equal(np.array(made["original"])[:, 0], np.array(x))


def test_samples_of_a_seed_are_those_of_python(images: Client, digits_run: Run) -> None:
    drawn = images.post("/sample", n=3, seed=9)
    forms.Examples.model_validate(drawn, strict=True)
    assert np.array_equal(np.array(drawn["x"]), digits_run.sample(3, seed=9))
    mean = images.post("/sample", n=2, seed=9, mean=True, temperature=0.5)
    assert np.array_equal(np.array(mean["x"], np.float32), digits_run.sample(2, seed=9, mean=True, temperature=0.5))


def test_a_row_of_a_table_comes_as_an_object_or_as_a_list_and_goes_by_names(table: Client, table_run: Run) -> None:
    objects = [{"age": 51.5, "visits": 9, "ward": "north"}, {"ward": "east", "visits": 14, "age": None}]
    lists = [[51.5, 9, "north"], [None, 14, "east"]]
    codes = table.post("/encode", x=objects)
    assert table.post("/encode", x=lists) == codes
    assert table.post("/encode", x=[row[::-1] for row in lists], columns=["ward", "visits", "age"]) == codes
    made = table.post("/reconstruct", x=objects)
    forms.Reconstructed.model_validate(made, strict=True)
    assert made["columns"] == ["age", "visits", "ward"]
    assert made["original"][0] == [pytest.approx(51.5), 9, "north"]
    assert {row[2] for row in table.post("/sample", n=40)["x"]} <= {"north", "south", "east"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[1, 2]], "has not a cell for each of the 3 columns"),
        ([{"age": "old", "visits": 1, "ward": "east"}], "age"),
        ([{"age": [1], "visits": 1, "ward": "east"}], "not like the column's other cells"),
    ],
)
def test_rows_that_do_not_fit_the_table_are_refused(table: Client, rows: list[Any], says: str) -> None:
    status, message = table.refused("/encode", x=rows)
    assert status == 400 and says in message


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/encode", {"x": [[[1, 2], [3]]]}, "not all numbers in lists of one shape"),
        ("/encode", {"x": ["a"]}, "not all numbers"),
        ("/encode", {"x": [[[10**400]]]}, "x"),
        ("/decode", {"z": [[1.0, 2.0]]}, "codes of this run have shape (n, 3)"),
        ("/decode", {"z": [[1.0], [1.0, 2.0]]}, "not all of one width"),
        ("/sample", {"n": 10_001}, "n: Input should be less"),
        ("/encode", {}, "x: Field required"),
    ],
)
def test_wrong_rows_are_refused(images: Client, path: str, body: Any, says: str) -> None:
    status, message = images.refused(path, **body)
    assert status == 400 and says in message


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/classify", {"x": [[1.0]]}, "vae cannot classify"),
        ("/detect", {"stream": "a", "rows": [[1.0]]}, "vae cannot judge a stream"),
        ("/v1/completions", {}, "vae cannot generate"),
        ("/sample", {"truncation": 0.5}, "vae cannot truncate"),
        ("/impute", {"x": [[[0.0] * 8] * 8]}, "cells are imputed in tables"),
    ],
)
def test_what_the_run_cannot_do_is_said_as_on_the_command_line(images: Client, path: str, body: Any, says: str) -> None:
    status, message = images.refused(path, **body)
    assert status == 409 and says in message


def test_missing_cells_are_filled_as_in_python(tmp_path: Any, served_run: Any) -> None:
    x = np.random.default_rng(0).normal(size=(80, 2)) @ np.ones((2, 3))
    lines = "\n".join(",".join(f"{v:.4f}" for v in row) for row in x)
    (tmp_path / "table.csv").write_text(f"a,b,c\n{lines}\n", encoding="utf-8")
    able = next(iter(registry.able("Imputes")))
    run = fitting.fit(able, str(tmp_path / "table.csv"), run=tmp_path / "run", steps=10, threads=1)
    rows = [{"a": 1.0, "b": None, "c": 0.5}, {"a": 0.25, "b": -1.0}]
    with served_run(run) as (_, client):
        made = client.post("/impute", x=rows)
        only = client.post("/impute", x=rows, observed=["b"])
    forms.Imputed.model_validate(made, strict=True)
    expected = run.impute(rows)
    assert made["columns"] == ["a", "b", "c"]
    assert np.array_equal(np.array(made["x"]), expected.x) and np.array_equal(np.array(made["sd"]), expected.sd)
    assert (np.array(made["sd"]) > 0).tolist() == [[False, True, False], [False, False, True]]
    assert (np.array(only["sd"]) > 0).tolist() == [[True, True, True], [True, False, True]]


def test_sequences_are_classified_as_in_python(tmp_path: Any, served_run: Any) -> None:
    rng = np.random.default_rng(0)
    x = [np.sin((0.4, 1.2)[i % 2] * np.arange(10 + i % 5))[:, None] + rng.normal(size=(10 + i % 5, 1)) / 9
         for i in range(40)]  # fmt: skip
    run = fitting.fit("classifier", (x, [("slow", "quick")[i % 2] for i in range(40)]), run=tmp_path / "run",
                      reading=Reading(kind="sequences"), settings={"hidden": 8}, steps=10, threads=1)  # fmt: skip
    with served_run(run) as (_, client):
        found = client.post("/classify", x=[row.tolist() for row in x[:6]])
    forms.Classified.model_validate(found, strict=True)
    expected = run.classify(x[:6])
    assert found["label"] == expected.named.tolist() and found["classes"] == ["quick", "slow"]
    assert np.array_equal(np.array(found["p"], np.float32), expected.p)


# -- streams -------------------------------------------------------------------------------------------------------


def test_a_stream_remembers_what_came_before(series: Client, series_run: Run) -> None:
    t = np.arange(300)
    rows = np.stack([np.sin(t / 5), np.cos(t / 9)], 1)
    rows[200:230, 0] += 3
    rows[100, 1] = math.nan
    times = [str(np.datetime64("2026-02-01T00:00") + np.timedelta64(int(i), "m")) for i in t]
    expected = series_run.stream().update_many(times, rows)
    verdicts = []
    for i in range(0, 300, 60):
        cells = [[None if math.isnan(v) else v for v in row] for row in rows[i : i + 60].tolist()]
        found = series.post("/detect", stream="pump-7", rows=cells, times=times[i : i + 60])
        forms.Detected.model_validate(found, strict=True)
        verdicts += found["verdicts"]
    assert [v["row"] for v in verdicts] == list(range(300))
    assert [v["alarm"] for v in verdicts] == [v.alarm for v in expected]
    assert any(v["alarm"] for v in verdicts)
    scores = [math.nan if v["score"] is None else v["score"] for v in verdicts]
    assert scores == pytest.approx([v.score for v in expected], nan_ok=True, rel=1e-4)
    status, ended = series.ask("DELETE", "/detect/pump-7")
    assert status == 200 and forms.EndedStream.model_validate(ended)
    assert series.ask("DELETE", "/detect/pump-7")[0] == 404


def test_streams_are_bounded_and_a_refused_row_leaves_no_trace(series: Client) -> None:
    day = "2026-02-01T00:0"
    for name in "abc":
        series.post("/detect", stream=name, rows=[[0.0, 1.0]], times=[f"{day}0"])
    status, message = series.refused("/detect", stream="d", rows=[[0.0, 1.0]], times=[f"{day}0"])
    assert status == 429 and "3 streams are open" in message
    row, time = [[0.0, 1.0]], [f"{day}1"]
    for wrong in ({"rows": [[1.0]], "times": time}, {"rows": row, "times": ["yesterday"]}, {"rows": row},
                  {"rows": [[0.0, 1.0], [0.0]], "times": [*time, f"{day}2"]}, {"rows": row, "times": [f"{day}0"]},
                  {"rows": row, "times": [*time, f"{day}2"]}):  # fmt: skip
        assert series.refused("/detect", stream="a", **wrong)[0] == 400
    found = series.post("/detect", stream="a", rows=[[0.0, 1.0]], times=[f"{day}1"])
    assert found["verdicts"][0]["row"] == 1
    for name in "abc":
        assert series.ask("DELETE", f"/detect/{name}")[0] == 200


def test_a_stream_that_is_left_alone_gives_up_its_place(series_run: Run) -> None:
    now = 0.0
    streams = Streams(series_run, 1, clock=lambda: now)

    def row(name: str) -> Any:
        form = forms.DetectBody(stream=name, rows=[[0.0, 1.0]], times=[f"2026-02-01T00:00:{int(now / 60) % 60:02}"])
        return streams.detect(form)["verdicts"][0]["row"]

    assert row("a") == 0
    with pytest.raises(Refusal, match="1 streams are open"):
        row("b")
    now = IDLE_S + 1
    assert row("b") == 0
    with pytest.raises(Refusal):
        row("a")


# -- what is told about it -----------------------------------------------------------------------------------------


def test_openapi_names_every_address_and_only_forms_that_it_holds(images: Client) -> None:
    status, document = images.ask("GET", "/openapi.json", headers={"Authorization": ""})
    assert status == 200 and document["openapi"] == "3.1.0"
    assert {(m.upper(), p) for p, ms in document["paths"].items() for m in ms} == {
        (a.method, a.path) for a in ADDRESSES
    }
    names = set(json.dumps(document).split('"#/components/schemas/')[1:])
    assert {name.split('"')[0] for name in names} <= set(document["components"]["schemas"])
    operations = [o for ms in document["paths"].values() for o in ms.values()]
    assert len({o["operationId"] for o in operations}) == len(ADDRESSES)
    status, page = images.ask("GET", "/", headers={"Authorization": ""})
    assert status == 200 and all(address.path in page for address in ADDRESSES) and "<script" not in page


def test_metrics_count_what_was_answered(images: Client) -> None:
    images.post("/sample")
    _, before = images.ask("GET", "/metrics")
    images.post("/sample")
    images.ask("GET", "/sample/../nothing")
    _, after = images.ask("GET", "/metrics")

    def count(text: str, name: str) -> int:
        return int(next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), "0"))

    name = 'elboroom_requests_total{path="/sample",status="200"}'
    assert count(after, name) == count(before, name) + 1
    other = 'elboroom_requests_total{path="other",status="404"}'
    assert count(after, other) == count(before, other) + 1
    assert all(line.startswith(("# ", "elboroom_")) for line in after.splitlines())


def _made_up(schema: Any, rng: random.Random, depth: int = 0) -> Any:
    """A value that a schema may or may not allow."""
    wild = [None, True, -1, 0, 3, 1e308, 2**70, "", "a", "\x00", "ß" * 50, [], [[]], {}, {"a": 1}, [1, "a"], [[1.0]]]
    if rng.random() < 0.3 or depth > 3:
        return rng.choice(wild)
    if "anyOf" in schema:
        return _made_up(rng.choice(schema["anyOf"]), rng, depth + 1)
    kind = schema.get("type")
    if kind == "array":
        return [_made_up(schema.get("items", {}), rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind in ("integer", "number"):
        return rng.choice([schema.get("minimum", 0), schema.get("maximum", 5), 1, 2, 0.5])
    return {"string": "the ", "boolean": rng.random() < 0.5}.get(kind, rng.choice(wild))


@pytest.mark.parametrize("which", ["text", "images", "table", "series"])
def test_no_body_makes_a_server_error(which: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(which)
    _, document = client.ask("GET", "/openapi.json")
    rng, statuses = random.Random(0), set()
    for address in (a for a in ADDRESSES if a.body is not None):
        fields = document["components"]["schemas"][address.body.__name__].get("properties", {})  # type: ignore[union-attr]
        for _ in range(25):
            body = {name: _made_up(schema, rng) for name, schema in fields.items() if rng.random() < 0.6}
            body = {**body, **({"max_tokens": 2, "n": 1} if "max_tokens" in fields else {})}
            path = address.path.replace("{id}", "a")
            status, answer = client.ask("POST", path, body)
            statuses.add(status)
            assert status < 500, (path, body, answer)
            assert status == 200 or set(answer) == {"error"}
    assert statuses <= {200, 400, 404, 409, 429} and {400, 409} <= statuses
