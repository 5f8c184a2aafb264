"""The guard before every application: who may ask, from where, how much, how slowly, and what each answer carries.

A server on the loopback address can be reached by every page that a browser of this machine has open, and by tricks
with names under a foreign one. So there is one ASGI middleware before any routing: no route, error page or static file
can be forgotten. Its rules, in this order:

1. `Host` is exactly one of 127.0.0.1, localhost, [::1] with our own port (else 403): a name that an attacker points at
   this machine (DNS rebinding) is none of them.
2. `Sec-Fetch-Site`, where a browser sends it, is same-origin or none; `Origin`, where sent, is our own (else 403).
3. Everything but `open_paths` needs the token, as `Authorization: Bearer` or as a cookie that scripts cannot read
   (else 401). It is compared in constant time.
4. What is neither GET nor HEAD comes with `Origin`, or with the token in its header, and with a JSON body (else 403,
   415); a form or a text of another site can have neither. GET and HEAD never change state.
5. Bodies end at a limit (413) and arrive at a least rate (408). JSON is read whole before the application is asked; an
   upload is counted while the application reads it.

No answer carries CORS headers; each carries a Content-Security-Policy, nosniff, no-referrer and no-store. An exception
of an application becomes one JSON sentence; the traceback of a fault goes to the log alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import Refusal, as_refusal, document, error_body

__all__ = ["BODY_LIMIT", "Guard", "Rules", "Upload"]

BODY_LIMIT = 1 << 20
"""Bytes of a JSON body."""
GRACE_S, LEAST_RATE = 10.0, 16 << 10
"""A body may take this long, and beyond it must have come at this many bytes a second."""
DRAIN_S, DRAIN_BYTES = 5.0, 64 << 20
"""What follows a refused head is read and thrown away so far, so that the client comes to read the answer."""
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"cache-control": b"no-store",
}
_READS = ("GET", "HEAD")
_BARE = ("DELETE", "OPTIONS")
_KNOWN = (*_READS, *_BARE, "POST", "PUT")
"""May come without a body."""
_log = logging.getLogger("elboroom.web")


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A kind of body that is no JSON: its media type and its limit in bytes."""

    media_type: str
    limit: int


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the guard of one server asks for."""

    token: str
    port: int
    cookie: str = ""
    """Name of the cookie that may carry the token; "" for servers that programs alone talk to."""
    open_paths: frozenset[str] = frozenset()
    """Paths that need no token; Host and Origin are checked all the same."""
    enter: str = ""
    """A path that takes `?token=` once, sets the cookie and leads to "/"; "" for none."""
    policy: str = POLICY
    """Content-Security-Policy of answers that bring none of their own."""
    body_limit: int = BODY_LIMIT
    limits: Mapping[str, int] = field(default_factory=dict)
    """Of single paths whose JSON may be longer."""
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    """Bodies that are no JSON, by the beginning of their path."""


class Guard:
    """ASGI middleware around `app`."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app = app
        self.rules = rules
        self.hosts = {f"{name}:{rules.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if rules.port == 80:
            self.hosts |= {"127.0.0.1", "localhost", "[::1]"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no server of ours speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send, self.rules.policy)
        body = _Body(scope, receive, self._limit(scope))
        try:
            entered = self._checked(scope)
            if entered is not None:
                await answer.whole(303, b"", [(b"location", b"/"), (b"set-cookie", entered)])
                return
            body.check_declared()
            upload = self._upload(str(scope["path"])) is not None
            given = body.receive if upload else _given(await body.whole(), receive)
        except Refusal as refusal:
            await body.drain(refusal.status)
            await answer.refuse(refusal, close=True, page=self._page(scope, refusal))
            return
        except ClientDisconnect:
            return
        try:
            await self.app(scope, given, answer.send)
        except ClientDisconnect:
            return
        except Exception as error:
            told = as_refusal(error)
            if told.status == 500:
                _log.exception("%s %r failed", scope["method"], scope["path"])
            await answer.refuse(told, close=upload)

    def _page(self, scope: Scope, refusal: Refusal) -> bytes:
        """For a person in a browser without the token; empty for everyone else, who is told in JSON."""
        if refusal.status != 401 or not self.rules.enter or "text/html" not in _Headers(scope).one("accept"):
            return b""
        return (
            b'<!doctype html><html lang="en"><meta charset="utf-8"><title>elboroom</title><h1>Not this way</h1>'
            b"<p>The address of this page must hold its token. Copy the whole address from the window in which it was "
            b"started, or start it again there: it prints a new one.</p></html>"
        )

    def _checked(self, scope: Scope) -> bytes | None:
        """Raises Refusal; a value is the cookie to set for one who entered with the token in the address."""
        headers = _Headers(scope)
        self._check_place(scope, headers)
        path, method = str(scope["path"]), str(scope["method"])
        if self.rules.enter and path == self.rules.enter and method == "GET":
            given = parse_qs(bytes(scope.get("query_string", b"")).decode("latin-1")).get("token", [""])[0]
            if not self._is_token(given):
                raise Refusal(401, "this address holds no valid token; use the one printed at start")
            return f"{self.rules.cookie}={self.rules.token}; HttpOnly; SameSite=Strict; Path=/".encode("latin-1")
        scheme, _, bearer = headers.one("authorization").partition(" ")
        by_header = scheme.lower() == "bearer" and self._is_token(bearer.strip())
        by_cookie = bool(self.rules.cookie) and self._is_token(headers.cookie(self.rules.cookie))
        if path not in self.rules.open_paths and not (by_header or by_cookie):
            raise Refusal(401, "a token is needed: open the address printed at start, or send Authorization: Bearer")
        if method not in _KNOWN:
            raise Refusal(405, f"no address answers to {method[:20]}")
        if method not in _READS:
            self._check_change(path, method, headers, by_header)
        return None

    def _check_place(self, scope: Scope, headers: _Headers) -> None:
        if not str(scope["path"]).startswith("/"):
            raise Refusal(400, "the address of a request begins with a slash")
        hosts = headers.every("host")
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            raise Refusal(403, "this server answers to 127.0.0.1, localhost and [::1] with its own port only")
        if any(site not in ("same-origin", "none") for site in headers.every("sec-fetch-site")):
            raise Refusal(403, "pages of other sites may not ask this server")
        origins = headers.every("origin")
        if origins and (len(origins) > 1 or origins[0] != f"http://{hosts[0]}"):
            raise Refusal(403, "pages of other sites may not ask this server")

    def _check_change(self, path: str, method: str, headers: _Headers, by_header: bool) -> None:
        if not headers.every("origin") and not by_header:
            raise Refusal(403, "a change needs an Origin, or the token as Authorization: Bearer")
        if method in _BARE and not headers.every("content-type"):
            return
        upload = self._upload(path)
        wanted = upload.media_type if upload else "application/json"
        given = headers.one("content-type").partition(";")[0].strip().lower()
        if given != wanted:
            raise Refusal(415, f"the body must be {wanted}, and its Content-Type must say so")

    def _upload(self, path: str) -> Upload | None:
        return next((kind for start, kind in self.rules.uploads.items() if path.startswith(start)), None)

    def _limit(self, scope: Scope) -> int:
        upload = self._upload(str(scope["path"]))
        return upload.limit if upload else self.rules.limits.get(str(scope["path"]), self.rules.body_limit)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.rules.token.encode())


class _Headers:
    """The headers of a request; names are lower case in ASGI."""

    def __init__(self, scope: Scope) -> None:
        self._listed = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]

    def every(self, name: str) -> list[str]:
        return [value for key, value in self._listed if key == name]

    def one(self, name: str) -> str:
        """The value; "" where the header is absent or stands more than once."""
        found = self.every(name)
        return found[0] if len(found) == 1 else ""

    def cookie(self, name: str) -> str:
        for value in self.every("cookie"):
            try:
                held = SimpleCookie(value)
            except CookieError:
                continue
            if name in held:
                return held[name].value
        return ""


class _Body:
    """What is received, counted and timed."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._size, self._ended = 0, False
        self._started = time.monotonic()
        headers = _Headers(scope)
        self._declared = headers.one("content-length")
        self._waits = headers.one("expect").lower() == "100-continue"

    def check_declared(self) -> None:
        if self._declared.isdecimal() and (len(self._declared) > 18 or int(self._declared) > self._limit):
            raise self._too_large()

    def _too_large(self) -> Refusal:
        message = f"a body of this kind may have {self._limit:,} bytes; send less at once"
        return Refusal(413, message, code="too_large")

    async def receive(self) -> Message:
        """The next message; raises Refusal where it comes too slowly or is too much."""
        if self._ended:  # only the news that the client has left can follow, whenever it comes
            return await self._receive()
        allowed = GRACE_S + self._size / LEAST_RATE - (time.monotonic() - self._started)
        try:
            message = await asyncio.wait_for(self._receive(), max(allowed, 0.01))
        except TimeoutError:
            raise Refusal(408, "the body came too slowly", code="slow") from None
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._size > self._limit:
                raise self._too_large()
        return message

    async def whole(self) -> bytes:
        """All of it; raises ClientDisconnect where the client goes first."""
        parts = []
        while not self._ended:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def drain(self, status: int) -> None:
        """Throw the rest away; a client that waits for `100 Continue` sends none, and a slow one is not waited for."""
        if self._ended or self._waits or status == 408:
            return

        async def rest() -> None:
            size, more = 0, True
            while more and size < DRAIN_BYTES:
                message = await self._receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(rest(), DRAIN_S)


def _given(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body, then the news that the client has left."""
    given = False

    async def receive_on() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_on


class _Answer:
    """What is sent, with the headers every answer carries."""

    def __init__(self, send: Send, policy: str) -> None:
        self._send = send
        self._policy = policy.encode("latin-1")
        self._begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            given = {key.lower() for key, _ in message.get("headers", [])}
            always = {**_ALWAYS, b"content-security-policy": self._policy}
            added = [(key, value) for key, value in always.items() if key not in given]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await self._send(message)

    async def whole(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        length = (b"content-length", str(len(body)).encode())
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, refusal: Refusal, *, close: bool, page: bytes = b"") -> None:
        """One JSON sentence, or `page`; an answer that has begun already is cut short and the connection closed."""
        if self._begun:
            raise ConnectionAbortedError(str(refusal))
        headers = [(b"content-type", b"text/html; charset=utf-8" if page else b"application/json")]
        headers += [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
        headers += [(b"www-authenticate", b"Bearer")] if refusal.status == 401 else []
        headers += [(b"connection", b"close")] if close else []
        await self.whole(refusal.status, page or document(error_body(refusal)), headers)
