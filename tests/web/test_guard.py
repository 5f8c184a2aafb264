"""The guard and its deadlines: what no page, name trick, path, body or slow client gets past."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message

from elboroom.web import guard
from elboroom.web.answers import Answer, Refusal
from elboroom.web.guard import Guard, Rules, Upload
from served import TOKEN, Client, serving, until

PORT = 8000
SECURE = (
    "content-security-policy", "x-content-type-options", "referrer-policy", "cross-origin-resource-policy",
    "cross-origin-opener-policy", "cache-control",
)  # fmt: skip


class House:
    """An application that remembers whether it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        request = Request(scope, receive)
        self.asked.append(request.url.path)
        self.bodies.append(len(await request.body()))
        if request.url.path == "/fault":
            raise RuntimeError("secret words of a traceback")
        if request.url.path == "/big":
            await Response(b"x" * 50_000_000)(scope, receive, send)
            return
        if request.url.path == "/refuse":
            raise Refusal(429, "full", headers={"Retry-After": "1"})
        await Answer({"done": True})(scope, receive, send)


def guarded(house: ASGIApp, port: int, **more: Any) -> Guard:
    uploads = {"/upload": Upload(media_type="application/octet-stream", limit=4 << 20)}
    return Guard(house, Rules(token=TOKEN, port=port, open_paths=frozenset({"/health"}), uploads=uploads, **more))


def status_of(
    headers: list[tuple[str, str]], method: str = "GET", path: str = "/list", house: ASGIApp | None = None, **more: Any
) -> int:
    """The status for one request, without a socket; every answer carries the security headers and one JSON error."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode("utf-8", "replace"),
             "query_string": b"", "headers": raw, "server": ("127.0.0.1", PORT)}  # fmt: skip
    asyncio.run(guarded(house or House(), PORT, **more)(scope, receive, send))
    names = [name.decode() for name, _ in sent[0]["headers"]]
    assert all(names.count(name) == 1 for name in SECURE)
    assert not any(name.startswith("access-control") for name in names)
    if sent[0]["status"] >= 400:
        assert set(json.loads(sent[1]["body"])) == {"error"}
    return int(sent[0]["status"])


BEARER = ("Authorization", f"Bearer {TOKEN}")
OWN = [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"]
FOREIGN = [
    "evil.example", f"evil.example:{PORT}", f"localhost.evil.example:{PORT}", f"127.0.0.1.nip.io:{PORT}", "127.0.0.1",
    "localhost", "[::1]", "127.0.0.1:80", "localhost:8001", "127.0.0.1:", "localhost:0", f"LOCALHOST:{PORT}",
    f"Localhost:{PORT}", f"localhost.:{PORT}", f"127.0.0.1.:{PORT}", f"127.1:{PORT}", f"0.0.0.0:{PORT}",
    f"127.0.0.2:{PORT}", f"2130706433:{PORT}", f"0x7f000001:{PORT}", f"0177.0.0.1:{PORT}", f"::1:{PORT}",
    f"[::]:{PORT}", f"[::ffff:127.0.0.1]:{PORT}", f"[0:0:0:0:0:0:0:1]:{PORT}", f"[::1%25lo]:{PORT}", "",
    f"user@localhost:{PORT}", f"user:pass@127.0.0.1:{PORT}", f"localhost:{PORT}@evil.example", f"localhost:{PORT}/",
    f"localhost:{PORT}#", f"localhost:{PORT}?", f" localhost:{PORT}", f"localhost:{PORT} ", f"localhost:0{PORT}",
    f"localhost:+{PORT}", f"http://localhost:{PORT}", f"localhost:{PORT},evil.example", f"localhost\t:{PORT}",
    f"locаlhost:{PORT}".encode().decode("latin-1"), f"127。0。0。1:{PORT}".encode().decode("latin-1"),
]  # fmt: skip
BAD_ORIGINS = [
    "null", "", "http://evil.example", f"http://evil.example:{PORT}", "http://localhost:8001", "http://localhost",
    f"https://localhost:{PORT}", f"http://localhost.evil.example:{PORT}", f"http://localhost:{PORT}.evil.example",
    f"http://localhost:{PORT}@evil.example", f"HTTP://localhost:{PORT}", f"http://localhost:{PORT}/", "file://",
    f"http://127.0.0.2:{PORT}", "chrome-extension://abcdef", "*",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused_on_every_kind_of_request(host: str) -> None:
    for method, path in (("GET", "/list"), ("POST", "/list"), ("GET", "/health"), ("DELETE", "/list"), ("GET", "/no")):
        house = House()
        headers = [("Host", host), BEARER, ("Content-Type", "application/json")]
        assert status_of(headers, method, path, house) == 403
        assert house.asked == []


def test_no_host_and_two_hosts_are_refused() -> None:
    assert status_of([BEARER]) == 403
    for pair in itertools.product([OWN[0], OWN[1], "evil.example"], repeat=2):
        assert status_of([("Host", pair[0]), ("Host", pair[1]), BEARER]) == 403


def test_of_all_origins_methods_and_kinds_only_our_own_json_gets_through() -> None:
    """1,080 cells: Host x method x Origin x Sec-Fetch-Site x media type, with the token."""
    cells = passed = 0
    kinds = ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
    for host, method in itertools.product(OWN, ("GET", "POST", "PUT", "DELETE")):
        for origin, site, kind in itertools.product(
            [None, f"http://{host}", *BAD_ORIGINS], [None, "same-origin", "none", "same-site", "cross-site"], kinds
        ):
            headers = [("Host", host), BEARER, ("Content-Type", kind)]
            headers += [] if origin is None else [("Origin", origin)]
            headers += [] if site is None else [("Sec-Fetch-Site", site)]
            ours = origin in (None, f"http://{host}") and site in (None, "same-origin", "none")
            expected = 403 if not ours else 200 if method == "GET" or kind == "application/json" else 415
            if ours or cells % 5 == 0:  # a share of the many that are refused alike
                house = House()
                assert status_of(headers, method, house=house) == expected, headers
                assert bool(house.asked) == (expected == 200)
                passed += expected == 200
            cells += 1
    assert cells >= 300 and passed > 0
    assert status_of([("Host", OWN[0]), BEARER, ("Origin", f"http://{OWN[0]}"), ("Origin", "null")]) == 403
    assert status_of([("Host", OWN[0]), BEARER, ("Origin", f"http://{OWN[1]}")]) == 403


@pytest.mark.parametrize(
    "given",
    [None, "", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}",
     f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN},{TOKEN}", "Bearer \xff"],
)  # fmt: skip
def test_without_the_token_nothing_but_the_public_answers(given: str | None) -> None:
    headers = [("Host", OWN[0]), *([] if given is None else [("Authorization", given)])]
    assert status_of(headers) == 401
    assert status_of(headers, path="/health") == 200
    assert status_of([*headers, ("Cookie", f"token={TOKEN}")]) == 401
    assert status_of([*headers, BEARER, BEARER]) == 401


def test_a_cookie_is_a_token_only_where_it_is_asked_for_and_never_alone_for_a_change() -> None:
    cookie = ("Cookie", f"other=1; door={TOKEN}")
    own, json_body = ("Origin", f"http://{OWN[0]}"), ("Content-Type", "application/json")
    assert status_of([("Host", OWN[0]), cookie], cookie="door") == 200
    assert status_of([("Host", OWN[0]), cookie, json_body], "POST", cookie="door") == 403
    assert status_of([("Host", OWN[0]), cookie, json_body, own], "POST", cookie="door") == 200
    assert status_of([("Host", OWN[0]), ("Cookie", "door=wrong")], cookie="door") == 401
    enter = {"cookie": "door", "enter": "/enter"}
    assert status_of([("Host", OWN[0])], path="/enter", **enter) == 401


def test_a_method_that_no_address_has_is_told_so_whatever_its_body() -> None:
    for method in ("TRACE", "CONNECT", "PATCH", "BREW"):
        assert status_of([("Host", OWN[0]), BEARER], method) == 405
        assert status_of([("Host", OWN[0])], method) == 401


# -- over a socket -------------------------------------------------------------------------------------------------


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    with serving(lambda port: guarded(house, port), head_s=0.4, take_s=0.4) as client:
        yield client


def head(client: Client, path: str = "/list", *lines: str, method: str = "POST") -> bytes:
    own = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{client.port}", f"Authorization: Bearer {TOKEN}"]
    return "\r\n".join([*own, "Content-Type: application/json", *lines, "", ""]).encode()


def until_closed(bare: socket.socket) -> bytes:
    with bare:
        said = b""
        while True:
            try:
                part = bare.recv(1 << 16)
            except ConnectionError:
                return said
            if not part:
                return said
            said += part


def test_a_fault_and_a_refusal_are_one_sentence_each(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    status, document = client.ask("POST", "/fault", {})
    assert status == 500 and "secret" not in json.dumps(document)
    assert "secret words of a traceback" in caplog.text
    answer = client.send("POST", "/refuse", {})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    answer.read()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Client, house: House, chunked: bool) -> None:
    part, parts = b"x" * 65536, 80
    bare = client.connect()
    if chunked:
        bare.sendall(head(client, "/list", "Transfer-Encoding: chunked"))
        framed = f"{len(part):x}\r\n".encode() + part + b"\r\n"
        for _ in range(parts):
            bare.sendall(framed)
        bare.sendall(b"0\r\n\r\n")
    else:
        bare.sendall(head(client, "/list", f"Content-Length: {len(part) * parts}"))
        for _ in range(parts):
            bare.sendall(part)
    said = until_closed(bare)
    assert said.startswith(b"HTTP/1.1 413 ") and b"x-content-type-options: nosniff" in said
    assert house.asked == []


def test_bodies_up_to_the_limit_are_read_whole(client: Client, house: House) -> None:
    exact = b'"' + b"x" * (guard.BODY_LIMIT - 2) + b'"'
    assert client.ask("POST", "/list", exact)[0] == 200
    assert client.ask("POST", "/list", exact + b" ")[0] == 413
    big = {"headers": {"Content-Type": "application/octet-stream"}}
    assert client.ask("POST", "/upload/a", b"x" * (4 << 20), **big)[0] == 200
    assert client.ask("POST", "/upload/a", b"x" * ((4 << 20) + 1), **big)[0] == 413
    assert client.ask("POST", "/upload/a", b"{}")[0] == 415
    assert house.bodies == [len(exact), 4 << 20]


@pytest.mark.parametrize("sent", [b"", b"POST /list HT", b"GET /health HTTP/1.1\r\nHost: x\r\nA: "])
def test_a_head_that_never_ends_is_cut_off_and_others_are_served_meanwhile(client: Client, sent: bytes) -> None:
    held = [client.connect() for _ in range(40)]
    for bare in held:
        bare.sendall(sent)
    assert client.ask("GET", "/health")[0] == 200
    began = time.monotonic()
    assert all(until_closed(bare) == b"" for bare in held)
    assert time.monotonic() - began < 5


def test_a_second_head_that_never_ends_is_cut_off_too(client: Client) -> None:
    bare = client.connect()
    bare.sendall(head(client, "/list", method="GET"))
    said = bare.recv(1 << 16)
    bare.sendall(b"GET /list HT")
    began = time.monotonic()
    said += until_closed(bare)
    assert said.count(b"HTTP/1.1 200") == 1 and time.monotonic() - began < 5


def test_a_body_that_comes_too_slowly_is_refused(client: Client, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_S", 0.3)
    bare = client.connect()
    bare.sendall(head(client, "/list", "Content-Length: 100") + b"{")
    said = until_closed(bare)
    assert said.startswith(b"HTTP/1.1 408 ") and house.asked == []


def test_an_answer_that_nobody_takes_is_given_up(client: Client, house: House) -> None:
    bare = client.connect(receive=4096)
    bare.sendall(head(client, "/big", method="GET"))
    until(lambda: house.asked == ["/big"])
    time.sleep(1.5)
    with bare:
        taken = 0
        bare.settimeout(5)
        try:
            while part := bare.recv(1 << 20):
                taken += len(part)
        except ConnectionError:
            pass
    assert taken < 40_000_000
    assert client.ask("GET", "/health")[0] == 200


def test_rubbish_is_no_reason_to_stop(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_S", 0.3)
    for rubbish in (b"\x16\x03\x01\x02\x00\x01", b"\x00" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                    b"A" * 100_000, b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
                    head(client, "/list", "Connection: close") + b"\xff" * 100,
                    head(client, "/list", "Content-Length: -1"), head(client, "/list", "Content-Length: 1e3"),
                    head(client, "/list", "Content-Length: 2", "Transfer-Encoding: chunked")):  # fmt: skip
        bare = client.connect()
        with contextlib.suppress(ConnectionError):
            bare.sendall(rubbish)
        said = until_closed(bare)
        assert not said.startswith(b"HTTP/1.1 5") and b"Traceback" not in said
    assert client.ask("GET", "/health")[0] == 200


UP = [
    "..",
    "%2e%2e",
    "%252e%252e",
    "%25252e%25252e",
    ".%2e",
    "..%00",
    "..;",
    "%c0%ae%c0%ae",
    "..%c0%af",
    "....",
    "..\\",
]
GOALS = ["etc/passwd", "etc%2fpasswd", "etc%252fpasswd", "etc%5cpasswd", "run.json", "weights.safetensors"]
ROOTS = ["/", "//", "/v1/models/", "/detect/"]
PATHS = [root + "/".join([up] * 4) + "/" + goal for root in ROOTS for up in UP for goal in GOALS] + [
    "//host/share", "/\\\\host\\share", "/C:/windows", "/file:///etc/passwd", "/%00", "/.%00", "/~root",
    "/proc/self/environ",
    "http://evil.example/", "/run.json", "/log.txt", "/checkpoints/", "/v1/models/%2fetc%2fpasswd", "/openapi.json/..",
]  # fmt: skip


def test_no_path_of_the_corpus_opens_a_file_or_a_connection(
    served_texts: Client, audited: list[str], tmp_path: Path
) -> None:
    assert len(PATHS) >= 200
    for path, method in itertools.product(PATHS, ("GET", "DELETE")):
        bare = served_texts.connect()
        bare.sendall(head(served_texts, path, "Connection: close", method=method))
        said = until_closed(bare)
        status = int(said.split()[1])
        assert status in (400, 403, 404, 405), (path, said[:200])
        assert b"root:" not in said and b"weights" not in said
    assert audited == []
