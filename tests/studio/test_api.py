"""The studio's interface: ids only, one start a key, the validator of the command line, and what is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import time
from pathlib import Path

import pytest

from elboroom.studio.events import stream
from elboroom.studio.shelf import Shelf, identity
from studio_server import Server


def test_the_list_says_state_headline_and_curve_of_every_run(studio: Server) -> None:
    row = studio.run("vae-digits-1")
    assert (row["state"], row["model"], row["data"], row["step"], row["steps"]) == ("done", "vae", "digits", 44, 44)
    assert row["headline"]["key"] == "log_likelihood_nats" and "±" in row["headline"]["text"]
    assert [point[0] for point in row["curve"]] == [11, 22, 33, 44]
    broken = studio.run("broken")
    assert (broken["state"], broken["why"]) == ("unreadable", "cannot be read: run.json, line 3")


def test_a_run_shows_what_it_was_made_with_and_no_place_of_this_machine(studio: Server) -> None:
    run = studio.get(f"/api/runs/{studio.run('vae-digits-1')['id']}")
    settings = {row["name"]: row for row in run["settings"]}
    assert settings["latent"]["value"] == 2 and settings["latent"]["differs"] and settings["latent"]["doc"]
    assert [m["name"] for m in run["media"] if m["group"] == "samples"][-1] == "samples/epoch-0004.png"
    told = {key: value for key, value in run.items() if key != "command"}  # the command is the user's own words
    assert str(studio.folder.parent) not in json.dumps(told)


def test_history_comes_as_columns_with_the_offset_of_its_end(studio: Server) -> None:
    id = studio.run("vae-digits-1")["id"]
    found = studio.get(f"/api/runs/{id}/history?width=100")
    lines = (studio.folder / "vae-digits-1" / "history.jsonl").read_text().splitlines()
    assert found["offset"] == sum(len(line) + 1 for line in lines) and found["rows"] == 4
    series = found["series"]["valid/loss_nats"]
    assert series["value"] == [json.loads(line)["valid/loss_nats"] for line in lines] and series["exact"]


def test_media_is_found_by_id_only(studio: Server) -> None:
    run = studio.get(f"/api/runs/{studio.run('vae-digits-1')['id']}")
    for one in run["media"]:
        status, content = studio.ask("GET", f"/api/runs/{run['id']}/media/{one['id']}")
        assert status == 200 and len(content) == one["bytes"]
        assert studio.ask("GET", f"/api/runs/{run['id']}/media/{one['name']}")[0] == 404


TRICKS = [
    "..",
    "%2e%2e",
    "..%2f..",
    "%252e%252e",
    "..%5c",
    "%00",
    "etc",
    "c0%ae%c0%ae",
    "....//",
    ";",
    "%2fetc%2fpasswd",
    "vae-digits-1",
    "run.json",
    "../runs2",
    "//host/share",
    "x%0d%0aSet-Cookie:a=b",
    "%c0%ae%c0%ae%c0%af",
    "~root",
]
PLACES = [
    "/api/runs/{}",
    "/api/runs/{}/history",
    "/api/runs/{}/report",
    "/api/runs/{}/media/0",
    "/static/{}",
    "/api/compare/{}",
    "/api/runs/%s/media/{}",
    "/static/../{}",
    "/static/%2e%2e/{}",
    "/api/{}",
    "/{}/etc/passwd",
]


def test_no_path_leads_out_of_the_shelf(studio: Server) -> None:
    id = studio.run("vae-digits-1")["id"]
    cases = [place.replace("%s", id).format(trick) for place, trick in itertools.product(PLACES, TRICKS)]
    assert len(cases) >= 198
    answers = {case: studio.ask("GET", case) for case in cases}
    assert {case: status for case, (status, _) in answers.items() if status not in (400, 404)} == {}
    assert all("root:" not in str(content) for _, content in answers.values())


def test_links_inside_a_run_are_not_followed(studio: Server, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    media = studio.folder / "vae-digits-2" / "media"
    (media / "link.png").symlink_to(tmp_path / "secret.png")
    (media / "folder").symlink_to(tmp_path)
    (studio.folder / "elsewhere").symlink_to(tmp_path)
    try:
        run = studio.get(f"/api/runs/{studio.run('vae-digits-2')['id']}")
        assert [m["name"] for m in run["media"] if "link" in m["name"] or "folder" in m["name"]] == []
        assert len(studio.get("/api/runs")["runs"]) == 3
    finally:
        for link in (media / "link.png", media / "folder", studio.folder / "elsewhere"):
            link.unlink()


@pytest.mark.parametrize("path", ["/", "/api/runs", "/static/app.js", "/api/events", "/api/nothing"])
def test_nothing_is_told_without_the_token(studio: Server, path: str) -> None:
    assert studio.ask("GET", path, headers={})[0] == 401
    assert studio.ask("GET", path, headers={"Cookie": f"elboroom-{studio.port}=guess"})[0] == 401


def test_a_foreign_page_can_neither_read_nor_start_anything(studio: Server) -> None:
    cookie = {"Cookie": f"elboroom-{studio.port}={studio.token}"}
    own = {**cookie, "Origin": studio.root, "Content-Type": "application/json"}
    body = b'{"model": "vae", "options": {}}'
    assert studio.ask("POST", "/api/check", body, own)[0] == 200
    foreign = [{"Origin": o} for o in ("http://evil.example", "null", f"http://localhost:{studio.port + 1}")]
    foreign += [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site")]
    for changed in [*foreign, {"Host": "evil.example"}]:
        assert studio.ask("POST", "/api/check", body, {**own, **changed})[0] == 403, changed
    assert studio.ask("POST", "/api/check", body, {**own, "Content-Type": "text/plain"})[0] == 415
    without = {key: value for key, value in own.items() if key != "Origin"}
    assert studio.ask("POST", "/api/check", body, without)[0] == 403


def test_a_field_is_checked_by_the_validator_of_the_command_line(studio: Server) -> None:
    def errors(**options: str) -> dict[str, str]:
        found: dict[str, str] = studio.post("/api/check", {"model": "vae", "options": options})["errors"]
        return found

    assert errors(latent="8", epochs="3", hidden="32,16", lr="1e-3") == {}
    found = errors(latent="0", epochs="-1", **{"batch-size": "many"})
    assert set(found) == {"latent", "epochs", "batch-size"}
    assert found["latent"] == "'0' does not fit: input should be greater than 0; its default is 16"
    assert "did you mean" in errors(laten="8")["laten"]
    assert "command line" in errors(run="/tmp/x")["run"] and "command line" in errors(models="/tmp")["models"]
    assert "" in errors(epochs="3", steps="4"), "budgets exclude each other"


def test_a_pasted_command_fills_the_form(studio: Server) -> None:
    line = "elboroom fit vae digits --latent 4 --batch-size=32 --strict --epochs 2 --run runs/mine"
    found = studio.post("/api/command", {"command": line})
    assert (found["model"], found["data"]) == ("vae", {"set": "digits"})
    assert found["options"] == {"latent": "4", "batch-size": "32", "strict": "on", "epochs": "2"}
    assert found["left_out"] == ["run"]
    wrong = studio.post("/api/command", {"command": "elboroom fit vae digits --latnt 4"})
    assert not wrong["ok"] and "did you mean '--latent'" in wrong["errors"][""]


def test_what_a_training_would_cost_is_told_by_a_trial_that_leaves_nothing(studio: Server) -> None:
    before = sorted(p.name for p in studio.folder.iterdir())
    form = {"model": "vae", "data": {"set": "digits"}, "options": {"epochs": "7", "batch-size": "100", "threads": "1"}}
    found = studio.post("/api/estimate", form)
    assert found["steps"] == 7 * 14 and found["threads"] == 1
    assert 0 < 98 * found["step_s"][0] * 0.85 <= found["seconds"][0] < found["seconds"][1]
    assert 1 << 27 < found["memory_bytes"] < found["free_bytes"]
    assert sorted(p.name for p in studio.folder.iterdir()) == before
    status, said = studio.ask("POST", "/api/estimate", {**form, "model": "gpt", "options": {}})
    assert status == 400 and said["error"]["message"].startswith("gpt takes text, digits was read as images")


def test_two_starts_of_the_same_have_names_of_their_own(studio: Server) -> None:
    form = {"model": "gpt", "data": {"set": "digits"}, "options": {}}  # a start that comes to nothing
    jobs = [studio.post("/api/start", {**form, "key": f"own-name-{i}"}) for i in (1, 2)]
    assert [job["run"] for job in jobs] == ["gpt-digits-1", "gpt-digits-2"]
    for job in jobs:
        studio.until(job["run"], "failed")
        studio.post(f"/api/runs/{job['id']}/forget", {})


def test_the_names_of_a_large_folder_are_taken(studio: Server) -> None:
    listed = [{"name": f"class-{i % 10}/a-picture-with-a-long-name-{i:06}.png", "size": 100} for i in range(20_000)]
    begun = studio.post("/api/uploads", {"name": "many", "files": listed})
    assert len(begun["missing"]) == 20_000
    status, said = studio.ask("POST", "/api/check", {"model": "vae", "options": {}, "more": "x" * (2 << 20)})
    assert status == 413 and "1,048,576" in said["error"]["message"]


def test_a_wide_table_is_named_whole(studio: Server) -> None:
    names = [f"c{i}" for i in range(61)]
    text = "\n".join([",".join(names), *(",".join(str(i * j % 17) for j in range(61)) for i in range(40))])
    id = studio.upload("wide.csv", {"wide.csv": text.encode()})
    columns = studio.post("/api/readings", {"data": {"upload": id}, "options": {"kind": "table"}})["columns"]
    assert [c["name"] for c in columns] == names and columns[0]["missing"] == 0 and columns[60]["missing"] is None


def test_an_upload_is_kept_whole_under_clean_names_and_found_again(studio: Server) -> None:
    files = {"../../cats/1.png": b"one", "cats\\2.png": b"two!", ".hidden/3.png": b"three"}
    id = studio.upload("../pets", files)
    kept = sorted(p.relative_to(studio.folder / ".studio/uploads" / id).as_posix()
        for p in (studio.folder / ".studio/uploads" / id).rglob("*.png"))  # fmt: skip
    assert kept == ["data/pets/cats/1.png", "data/pets/cats/2.png", "data/pets/hidden/3.png"]
    assert studio.upload("../pets", files) == id
    assert any(one["id"] == id and one["files"] == 3 for one in studio.get("/api/uploads"))


def test_too_large_an_upload_names_the_limit_and_the_command_line(studio: Server) -> None:
    status, said = studio.ask("POST", "/api/uploads", {"name": "big", "files": [{"name": "x.csv", "size": 1 << 40}]})
    assert status == 400 and "256 MB" in said["error"]["message"] and "elboroom fit" in said["error"]["message"]
    id = studio.post("/api/uploads", {"name": "a.csv", "files": [{"name": "a.csv", "size": 3}]})["id"]
    assert studio.ask("PUT", f"/api/uploads/{id}/0", b"much more")[0] == 400
    assert studio.ask("PUT", f"/api/uploads/{id}/7", b"abc")[0] == 404
    status, said = studio.ask("POST", "/api/readings", {"data": {"upload": id}})
    assert status == 400 and "1 of 1 files have not come" in said["error"]["message"]


def test_the_bin_gives_back_what_it_took(studio: Server) -> None:
    before = {p.name: p.stat().st_size for p in (studio.folder / "vae-digits-2").iterdir()}
    moved = studio.post("/api/bin", {"runs": [studio.run("vae-digits-2")["id"]]})
    assert not (studio.folder / "vae-digits-2").exists()
    held = studio.get("/api/bin")
    assert (held[0]["name"], held[0]["token"]) == ("vae-digits-2", moved[0]["token"])
    assert studio.post("/api/bin/restore", {"tokens": [moved[0]["token"]]}) == ["vae-digits-2"]
    assert {p.name: p.stat().st_size for p in (studio.folder / "vae-digits-2").iterdir()} == before
    assert moved[0]["token"] not in [one["token"] for one in studio.get("/api/bin")]
    assert studio.ask("POST", "/api/bin/restore", {"tokens": ["../../x"]})[0] == 404


def test_a_run_says_in_a_sentence_what_was_found_once_it_is_done(studio: Server) -> None:
    said = studio.get(f"/api/runs/{studio.run('vae-digits-1')['id']}/verdict")["verdict"]
    assert said in (studio.folder / "vae-digits-1" / "report.html").read_text(encoding="utf-8")
    assert "it has not seen" in said
    assert studio.get(f"/api/runs/{studio.run('broken')['id']}/verdict") == {"verdict": ""}


def test_a_page_without_its_token_is_a_page_and_names_the_way(studio: Server) -> None:
    status, page = studio.ask("GET", "/", headers={"Accept": "text/html,*/*"})
    assert status == 401
    assert b"Copy the whole address" in page
    assert studio.ask("GET", "/api/runs", headers={})[1]["error"]["message"].startswith("a token is needed")


def test_a_run_that_is_not_there_yet_is_not_gone(tmp_path: Path) -> None:
    place, told = tmp_path / "runs" / "one", []
    closing = False

    async def heard() -> None:
        nonlocal closing
        events = stream(
            Shelf(tmp_path / "runs"), list, lambda found: {}, run=identity("one"), offset=0, with_list=False,
            closing=lambda: closing,
        )  # fmt: skip
        async for event in events:
            name = event.split(b"event: ")[-1].split(b"\n")[0]
            told.append(name)
            if name == b"beat" and not place.exists() and b"run" not in told:
                place.mkdir(parents=True)
                (place / "run.json").write_text('{"format": 1}')
            elif name == b"run":
                shutil.rmtree(place)
            elif name == b"gone":
                closing = True

    asyncio.run(asyncio.wait_for(heard(), 60))
    assert told.count(b"gone") == 1
    assert told.index(b"run") < told.index(b"gone")


def test_a_report_is_shown_without_the_studios_rights(studio: Server) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", studio.port)
    path = f"/api/runs/{studio.run('vae-digits-1')['id']}/report"
    connection.request("GET", path, headers={"Authorization": f"Bearer {studio.token}"})
    answer = connection.getresponse()
    policy = answer.getheader("content-security-policy", "")
    assert policy.startswith("sandbox ") and "allow-same-origin" not in policy and "default-src 'none'" in policy
    assert b"<html" in answer.read()[:200]
    connection.close()


def test_the_stream_goes_on_from_the_byte_a_page_has_reached(studio: Server) -> None:
    import http.client

    id = studio.run("vae-digits-1")["id"]
    text = (studio.folder / "vae-digits-1" / "history.jsonl").read_bytes()
    reached = text.index(b"\n", text.index(b"\n") + 1) + 1
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
    headers = {"Authorization": f"Bearer {studio.token}", "Last-Event-ID": str(reached)}
    connection.request("GET", f"/api/events?run={id}", headers=headers)
    answer, seen = connection.getresponse(), b""
    end = time.monotonic() + 15
    while b"event: rows" not in seen or not seen.split(b"event: rows", 1)[1].count(b"\n\n"):
        assert time.monotonic() < end, seen
        seen += answer.read1(65536)
    connection.close()
    event = seen.split(b"event: rows\ndata: ", 1)[1].split(b"\n\n", 1)[0]
    assert [row["step"] for row in json.loads(event)["rows"]] == [33, 44]
    assert f"id: {len(text)}\n".encode() in seen


@pytest.mark.slow
def test_the_same_key_is_the_same_start_and_a_killed_process_is_told(studio: Server) -> None:
    import os
    import signal

    form = {
        "key": "one-press-1",
        "model": "vae",
        "data": {"set": "digits"},
        "options": {"epochs": "100000", "threads": "1"},
    }
    first, second = studio.post("/api/start", form), studio.post("/api/start", form)
    assert first == second
    row = studio.until(first["run"], "running")
    assert [r["name"] for r in studio.get("/api/runs")["runs"]].count(row["name"]) == 1
    status, said = studio.ask("POST", "/api/bin", {"runs": [row["id"]]})
    assert status == 400 and "is running" in said["error"]["message"]
    os.kill(first["pid"], signal.SIGKILL)
    row = studio.until(first["run"], "stopped")
    assert row["why"].startswith("Its process is gone")
    status, said = studio.ask("POST", f"/api/runs/{row['id']}/stop", {})
    assert status == 400 and "nothing to stop" in said["error"]["message"]
