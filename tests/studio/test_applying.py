"""A run put to use on a file: what the page is answered, what is saved, and what is refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom.data.reading import Reading
from elboroom.fitting import fit
from elboroom.studio.applying import KEPT, USES, shown
from studio_browser import Browser
from studio_server import Server


def write_rows(path: Path, rows: int, seed: int = 0) -> None:
    """A table of three numbers and a kind; some numbers are missing."""
    rng = np.random.default_rng(seed)
    lines = ["weight,height,width,kind"]
    for i in range(rows):
        a, b, c = rng.normal(size=3)
        lines.append(f"{a:.3f},{'' if i % 5 == 1 else f'{a + b / 4:.3f}'},{c:.3f},{'heavy' if a > 0 else 'light'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio over a net of a table and one of pictures; more.csv lies beside its folder."""
    above = tmp_path_factory.mktemp("tables")
    (above / "runs").mkdir()
    write_rows(above / "rows.csv", 200)
    write_rows(above / "more.csv", 30, seed=1)
    small: dict[str, Any] = {"hidden": (8,), "latent": 2}
    fit("vae", str(above / "rows.csv"), run=above / "runs" / "rows", reading=Reading(label="kind"), settings=small,
        steps=20, threads=1)  # fmt: skip
    fit("vae", "digits", run=above / "runs" / "digits", settings=small, steps=10, threads=1)
    server = Server(above / "runs")
    yield server
    server.end()


def brought(server: Server, path: Path) -> str:
    """The id of a file in the holding place."""
    content = path.read_bytes()
    begun = server.post("/api/uploads", {"name": path.name, "files": [{"name": path.name, "size": len(content)}]})
    assert server.ask("PUT", f"/api/uploads/{begun['id']}/0", content)[0] == 200
    return str(begun["id"])


def place(server: Server, name: str) -> str:
    return f"/api/runs/{server.run(name)['id']}"


def test_a_run_says_what_it_can_be_put_to(tables: Server) -> None:
    told = tables.get(f"{place(tables, 'rows')}/play")
    assert [use["verb"] for use in told["uses"]] == ["impute", "reconstruct", "encode", "sample"]
    assert "file" in told["kinds"]
    pictures = tables.get(f"{place(tables, 'digits')}/play")["uses"]
    assert {use["verb"]: use["endings"][0] for use in pictures} == {
        "reconstruct": ".png",
        "encode": ".csv",
        "sample": ".png",
    }
    assert len({use.verb for use in USES}) == len(USES)


def test_a_file_is_filled_in_and_can_be_saved(tables: Server) -> None:
    upload = brought(tables, tables.folder.parent / "more.csv")
    made = tables.post(f"{place(tables, 'rows')}/apply", {"verb": "impute", "data": {"upload": upload}})
    assert (made["name"], made["rows"], made["filled"]) == ("more-filled.csv", 30, 6)
    assert made["command"] == "elboroom impute runs/rows more.csv --out more-filled.csv"
    status, content = tables.ask("GET", f"/api/made/{made['key']}")
    assert status == 200
    assert len(content) == made["bytes"]
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    given = list(csv.DictReader((tables.folder.parent / "more.csv").read_text().splitlines()))
    assert [row["kind"] for row in rows] == [row["kind"] for row in given]
    assert [bool(float(row["height_sd"])) for row in rows] == [not row["height"] for row in given]
    seen = made["shown"]
    assert seen["head"] == ["kind", "weight", "height", "width"]
    assert [number for number, _ in seen["rows"]] == [1, 6, 11, 16, 21, 26]
    assert seen["filled"] == [[2]] * 6
    assert [doubt for (doubt,) in seen["doubt"]] == [rows[i]["height_sd"] for i in (1, 6, 11, 16, 21, 26)]


def test_codes_and_draws_of_the_runs_own_data(tables: Server) -> None:
    run = tables.run("digits")["id"]
    codes = tables.post(f"/api/runs/{run}/apply", {"verb": "encode", "data": {"run": run}})
    assert (codes["name"], codes["rows"]) == ("digits-codes.csv", 1797)
    assert codes["shown"]["filled"] == [[]] * 12
    drawn = tables.post(f"/api/runs/{run}/apply", {"verb": "sample", "ending": ".png", "count": 6})
    assert drawn["command"] == "elboroom sample runs/digits -n 6 --out digits-drawn.png"
    status, content = tables.ask("GET", f"/api/made/{drawn['key']}")
    assert (status, content[:4]) == (200, b"\x89PNG")
    assert drawn["shown"] is None


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"verb": "classify"}, 400, "this run cannot classify; it can: impute, reconstruct, encode, sample"),
        ({"verb": "fit"}, 400, "this run cannot fit"),
        ({"verb": "impute"}, 400, "drop the file on the page"),
        ({"verb": "sample", "ending": ".exe"}, 400, "there is no form .exe; sample writes .csv, .tsv, .parquet, .npz"),
        ({"verb": "sample", "ending": "/../x.csv"}, 400, "there is no form"),
        ({"verb": "sample", "path": "/etc/passwd"}, 400, "path"),
        ({"verb": "impute", "data": {"upload": "0" * 16}}, 404, "nothing of that id"),
    ],
)
def test_what_cannot_be_done_is_refused(tables: Server, body: dict[str, Any], status: int, said: str) -> None:
    got, document = tables.ask("POST", f"{place(tables, 'rows')}/apply", body)
    assert got == status
    assert said in document["error"]["message"]


def test_a_file_that_does_not_fit_is_told_by_its_name(tables: Server, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("age,size\n1,2\n3,4\n", encoding="utf-8")
    upload = brought(tables, tmp_path / "odd.csv")
    got, document = tables.ask("POST", f"{place(tables, 'rows')}/apply", {"verb": "encode", "data": {"upload": upload}})
    message = document["error"]["message"]
    assert got == 400
    assert "odd.csv" in message
    assert str(tables.folder.parent) not in message
    for key in ("0" * 32, "..", "x", "%2e%2e"):
        assert tables.ask("GET", f"/api/made/{key}")[0] == 404


def test_only_the_newest_answers_are_kept(tables: Server) -> None:
    made = tables.folder / ".studio" / "made"
    for i in range(KEPT + 3):
        (made / f"{i:032x}").mkdir(parents=True)
    tables.post(f"{place(tables, 'rows')}/apply", {"verb": "sample", "count": 3})
    assert len(list(made.iterdir())) == KEPT


def test_a_table_is_shown_as_it_is_where_nothing_was_filled_in(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("index,z0,z1,z0_sd\n0,1,2,0.5\n", encoding="utf-8")
    seen = shown(tmp_path / "a.csv")
    assert seen == {
        "head": ["index", "z0", "z1", "z0_sd"],
        "rows": [[0, ["0", "1", "2", "0.5"]]],
        "filled": [[]],
        "doubt": [[]],
    }
    assert shown(tmp_path / "a.npz") is None


@pytest.mark.slow
def test_a_dropped_table_is_filled_in_on_the_page(chromium: Browser, tables: Server) -> None:
    chromium.size(1344, 1000)
    chromium.faults.clear()
    chromium.open(tables.address)
    chromium.wait("document.querySelector('tr[data-id]')")
    chromium.open(f"{tables.root}/runs/{tables.run('rows')['id']}/play?what=file")
    chromium.wait("document.querySelector('#apply')?.disabled === true")
    chromium.drop(640, 700, tables.folder.parent / "more.csv")
    chromium.wait("document.querySelector('#apply')?.disabled === false")
    assert chromium.run("location.pathname").endswith("/play")
    chromium.click("#apply")
    chromium.wait("document.querySelector('#save-made')")
    chromium.see("6 cells filled in")
    assert chromium.run("document.querySelectorAll('td.filled').length") == 6
    length = chromium.run(
        "fetch(document.querySelector('#save-made').href).then((r) => r.text()).then((t) => t.length)"
    )
    assert length > 300
    chromium.size(390, 800)
    assert chromium.run("document.documentElement.scrollWidth <= 390")
    chromium.click("#use-sample")
    chromium.fill("#count", "5")
    chromium.click("#apply")
    chromium.see("rows-drawn.csv")
    assert chromium.faults == []
