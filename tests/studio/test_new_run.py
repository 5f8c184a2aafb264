"""The page New run: what it proposes, what it refuses and why, and what it takes over from a run that is cloned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio_browser import Browser
from studio_server import Server

LINE = "document.querySelector('.command textarea').value"
READING = {"label": "ward", "columns": "flow,load", "scale": "robust"}


@pytest.fixture(scope="module")
def of_upload(studio: Server, table: Path) -> Iterator[dict[str, Any]]:
    """A run of an uploaded table with a label, fewer columns and a scale of its own."""
    id = studio.upload("pumps.csv", {"pumps.csv": table.read_bytes()})
    options = {**READING, "epochs": "3", "latent": "2", "threads": "1"}
    form = {"key": "of-an-upload-1", "model": "vae", "data": {"upload": id}, "options": options}
    job = studio.post("/api/start", form)
    row = studio.until(job["run"], "done")
    yield row
    studio.post("/api/bin", {"runs": [row["id"]]})


def brought(page: Browser, root: str, path: Path) -> None:
    page.open(f"{root}/new")
    page.wait("document.querySelector('.zone input[type=file]')")
    page.choose(".zone input[type=file]", path)
    page.wait("document.querySelector('#start')")


def of_module(page: Browser, name: str, call: str) -> Any:
    return page.run(f"import('/static/{name}').then((m) => {call})")


def role(page: Browser, column: str) -> str:
    value = page.wait(f"document.querySelector(\"select[aria-label='{column} is used as']\")?.value")
    return str(value)


def test_the_data_of_a_run_are_read_where_they_lie_and_a_set_by_its_name(
    studio: Server, of_upload: dict[str, Any]
) -> None:
    found = studio.post("/api/readings", {"data": {"run": of_upload["id"]}, "options": READING})
    assert (found["name"], found["reading"]["label"]) == ("pumps.csv", "ward")
    assert [column["name"] for column in found["columns"]] == ["flow", "load", "stage", "ward"]
    assert not studio.get(f"/api/runs/{of_upload['id']}")["reading"]["set"]
    id = studio.run("vae-digits-1")["id"]
    found = studio.post("/api/readings", {"data": {"run": id}})
    assert (found["name"], found["columns"], found["counts"]["train"]) == ("digits", None, 1437)
    assert studio.get(f"/api/runs/{id}")["reading"]["set"]


def test_a_set_with_options_can_be_named_and_a_flag_cannot(studio: Server) -> None:
    found = studio.post("/api/readings", {"data": {"set": "ring8:n=400,sd=0.05"}})
    assert found["spec"]["shape"] == [2] and sum(found["counts"].values()) > 400
    for name in ("--help", "-h", "pumps.csv", "a/b", "digits\n"):
        status, said = studio.ask("POST", "/api/readings", {"data": {"set": name}})
        assert status == 400 and "is no named set" in said["error"]["message"], name


def test_a_clone_of_a_run_of_an_upload_has_its_data_roles_and_settings(
    page: Browser, studio: Server, of_upload: dict[str, Any]
) -> None:
    page.open(f"{studio.root}/new?clone={of_upload['id']}")
    page.see("is read as a table: 2 columns")
    page.see("the data of the cloned run: pumps.csv")
    roles = {name: role(page, name) for name in ("flow", "load", "stage", "ward")}
    assert roles == {"flow": "used", "load": "used", "stage": "out", "ward": "label"}
    line = page.run(LINE)
    for flag in (
        "fit vae pumps.csv",
        "--label ward",
        "--columns flow,load",
        "--scale robust",
        "--latent 2",
        "--epochs 3",
    ):
        assert flag in line, line
    page.wait("!document.querySelector('#start').disabled")


def test_a_clone_of_a_run_of_a_set_names_the_set(page: Browser, studio: Server) -> None:
    page.open(f"{studio.root}/new?clone={studio.run('vae-digits-1')['id']}")
    page.see("is read as pictures: 8 × 8 pixels, grey")
    page.wait("document.querySelector('#model-vae')?.getAttribute('aria-pressed') === 'true'")
    line = page.run(LINE)
    assert line.startswith("elboroom fit vae digits ") and "--latent 2" in line and "--kind" not in line


def test_a_file_dropped_anew_keeps_budget_and_settings_and_drops_the_reading(
    page: Browser, studio: Server, of_upload: dict[str, Any], tmp_path: Path
) -> None:
    page.open(f"{studio.root}/new?clone={of_upload['id']}")
    page.see("is read as a table: 2 columns")
    other = tmp_path / "other.csv"
    other.write_text("\n".join(["a,b,c", *(f"{i % 7 / 2},{i % 5 / 3},{i % 3 / 7}" for i in range(90))]) + "\n")
    page.choose(".zone input[type=file]", other)
    page.see("other.csv is read as a table: 3 columns")
    line = page.run(LINE)
    assert "--latent 2" in line and "--epochs 3" in line
    assert not any(flag in line for flag in ("--label", "--columns", "--scale"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("table", "vae"), ("images", "vae"), ("text", "gpt"), ("series", "forecaster"), ("sequences", "classifier")],
)
def test_every_kind_of_data_has_a_model_to_start_with(page: Browser, studio: Server, kind: str, name: str) -> None:
    models = studio.get("/api/models")
    call = f"fetch('/api/models').then((r) => r.json()).then((all) => m.toStartWith('{kind}', all))"
    assert of_module(page, "wants.js", call) == name
    assert kind in next(one["kinds"] for one in models if one["name"] == name)


def test_every_model_stands_in_one_group_and_says_what_it_is_for(page: Browser, studio: Server) -> None:
    models = sorted(one["name"] for one in studio.get("/api/models"))
    call = """fetch('/api/models').then((r) => r.json()).then((all) =>
        m.grouped(all).map(([what, list]) => [what, list.map((one) => [one.name, m.uses(one).length])]))"""
    groups = dict(of_module(page, "wants.js", call))
    assert sorted(name for held in groups.values() for name, _ in held) == models
    assert "Other" not in groups and all(count for held in groups.values() for _, count in held)
    assert [name for name, _ in groups["Fill missing cells"]] == ["imputer"]


@pytest.mark.slow
def test_the_first_model_learns_a_table_with_names_and_one_that_cannot_refuses_start(
    page: Browser, studio: Server, table: Path
) -> None:
    brought(page, studio.root, table)
    page.see("start with this")
    page.wait("document.querySelector('#model-vae').getAttribute('aria-pressed') === 'true'")
    page.see("parameters", 90)
    assert page.run("document.querySelector('#model-vae').textContent").endswith("the evidence lower bound.")
    page.click("#model-aae")
    page.wait("document.querySelector('#refused.said-bad')", 90)
    said = page.run("document.querySelector('#refused').textContent")
    assert "this model makes plain numbers" in said and "“left out”" in said and "“label”" in said
    assert page.run("document.querySelector('#start').disabled")
    page.click("#model-vae")
    page.wait("!document.querySelector('#refused')")
    page.wait("!document.querySelector('#start').disabled")


def test_what_a_column_is_used_as_is_explained_and_a_label_suggested(
    page: Browser, studio: Server, table: Path
) -> None:
    brought(page, studio.root, table)
    page.see("ward has 2 names: a label?")
    page.see("left out: it is not read")
    titles = page.run("[...document.querySelectorAll('.columns select option')].map((o) => o.title)")
    assert titles and all(titles)
    page.click("#likely-label")
    page.see("2 classes: north, south")
    assert role(page, "ward") == "label" and "--label ward" in page.run(LINE)
    assert not page.run("document.querySelector('#likely-label')")


def test_a_column_of_times_that_was_found_is_shown_as_time(page: Browser, studio: Server, tmp_path: Path) -> None:
    path = tmp_path / "hall.csv"
    rows = [f"2024-01-{1 + i // 24:02} {i % 24:02}:00,{i % 24 / 3:.2f}" for i in range(600)]
    path.write_text("\n".join(["when,degrees", *rows]) + "\n")
    brought(page, studio.root, path)
    page.see("is read as a time series: 600 rows of 1 column, one every 1 h; windows of ")
    assert (role(page, "when"), role(page, "degrees")) == ("time", "used")
    assert "--time" not in page.run(LINE)


def test_too_few_rows_are_told(page: Browser, studio: Server, tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("\n".join(["a,b", *(f"{i / 3:.2f},{i % 4 / 7:.2f}" for i in range(20))]) + "\n")
    brought(page, studio.root, path)
    page.see("20 rows are too few to learn or to judge from.")
    told = "m.tooFew({spec: {kind: 'KIND'}, counts: {train: TRAIN, valid: 5, test: TEST}, series: SERIES})"

    def few(kind: str, train: int, test: int, series: str = "null") -> str:
        call = told.replace("KIND", kind).replace("TRAIN", str(train)).replace("TEST", str(test))
        return str(of_module(page, "reading.js", call.replace("SERIES", series)))

    assert few("table", 40, 4) == "49 rows are too few to learn or to judge from."
    assert few("images", 400, 4) == "9 held-out pictures are too few to judge from."
    assert few("table", 40, 5) == few("series", 9, 1, "{rows: 900}") == ""


def test_settings_are_folded_until_they_are_opened_or_wrong(page: Browser, studio: Server) -> None:
    page.open(f"{studio.root}/new?set=digits&model=vae")
    page.see("Settings: the defaults are fine")
    assert not page.run("document.querySelector('.side details:has(#settings)').open")
    page.run("document.querySelector('#settings').focus()")
    page.press("Enter")
    page.wait("document.querySelector('#set-latent').checkVisibility()")
    assert page.run("document.querySelector('#set-latent-doc').textContent") == "Dimensions of z."
    page.fill("#set-latent", "3")
    page.see("Settings: the defaults are fine; 1 changed")
    page.reload()
    page.wait("document.querySelector('#set-latent')?.checkVisibility()")
    page.click("#settings")
    page.wait("!document.querySelector('.side details:has(#settings)').open")
    page.run("(() => { const t = document.querySelector('.command textarea'); t.focus(); t.select() })()")
    page.type("elboroom fit vae digits --lr -1")
    page.run("document.activeElement.blur()")
    page.wait("document.querySelector('#set-lr')?.checkVisibility() && document.querySelector('#set-lr-said.bad')")


def test_the_data_page_has_the_same_two_buttons(page: Browser, studio: Server, table: Path) -> None:
    page.open(f"{studio.root}/data")
    page.wait("document.querySelector('.head input[webkitdirectory]')")
    page.choose(".head input[type=file]", table)
    page.wait("location.pathname === '/new'")
    page.see("is read as a table")


def test_the_text_of_a_model_is_paragraphs_with_its_formulas_as_they_stand(page: Browser) -> None:
    parts = (
        "One line\\nand its end, `--a b`.",
        "The loss is",
        "    x  =  y\\n      +  z",
        "- first\\n  goes on --too\\n- second",
    )
    text = "\\n\\n".join(parts)
    call = f"m.prose('{text}').map((n) => [n.localName, n.textContent, n.querySelectorAll('code').length])"
    assert of_module(page, "models.js", call) == [
        ["p", "One line and its end, --a b.", 1],
        ["p", "The loss is", 0],
        ["pre", "x  =  y\n  +  z", 0],
        ["li", "first goes on --too", 1],
        ["li", "second", 0],
    ]
    page.run("history.pushState(null, '', '/models/vae'), dispatchEvent(new PopStateEvent('popstate'))")
    page.see("Variational autoencoder")
    font = "getComputedStyle(document.querySelector('.prose p')).fontFamily"
    assert page.run(f"{font} === getComputedStyle(document.body).fontFamily")


@pytest.mark.slow
def test_names_of_columns_are_not_broken_on_a_phone(page: Browser, studio: Server, tmp_path: Path) -> None:
    path = tmp_path / "wine.csv"
    names = ["alcohol", "od280/od315_of_diluted_wines", "nonflavanoid_phenols"]
    path.write_text(
        "\n".join([",".join(names), *(f"{i / 3:.2f},{i % 7 / 2},{i % 4 / 7:.2f}" for i in range(80))]) + "\n"
    )
    page.size(390, 844)
    brought(page, studio.root, path)
    page.see("is read as a table")
    page.wait("document.querySelectorAll('.columns tbody th').length === 3")
    high = page.run("[...document.querySelectorAll('.columns tbody th bdi')].map((n) => n.getClientRects().length)")
    assert high == [1, 1, 1], "each on one line"
    assert page.run("document.documentElement.scrollWidth") <= 390
