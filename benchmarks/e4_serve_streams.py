"""E4: 200 streams at once from `elboroom serve` with a GPT of 0.8 million weights: the first byte, the room, the end.

Server and client share the machine's processors, as they do for a user.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import recipe
from benchmarks.recipe import Options, round_off
from benchmarks.record import Result
from benchmarks.rounds import environment

__all__ = ["run"]

NAME = "e4_serve_streams"
PROTOCOL = (
    "a server process with 200 slots, one uncounted round, then 3 rounds; in each all streams are opened at once, with "
    "different prompts of 16 characters (16 tokens), 50 tokens each or up to the end of the text; from the opening of "
    "the connection to the first event; 100 connections cut in mid-text, until no slot is in use; then a server with 8 "
    "slots and no queue, 200 streams at once"
)
PROMPT, TOKENS = 16, 50


@dataclass
class Stream:
    """What one client saw."""

    status: int = 0
    times: list[float] = field(default_factory=list)
    """Seconds from the opening of the connection to each event."""
    done: bool = False
    finish: str = ""


@dataclass
class Served:
    port: int
    token: str

    def head(self, method: str, path: str, length: int = 0) -> bytes:
        own = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Authorization: Bearer {self.token}"]
        own += ["Content-Type: application/json", f"Content-Length: {length}", "Connection: close", "", ""]
        return "\r\n".join(own).encode()

    async def opened(self, **body: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        data = json.dumps(body).encode()
        writer.write(self.head("POST", "/v1/completions", len(data)) + data)
        return reader, writer

    async def stream(self, prompt: str, seed: int, tokens: int) -> Stream:
        seen, began = Stream(), time.perf_counter()
        reader, writer = await self.opened(prompt=prompt, seed=seed, max_tokens=tokens, stream=True)
        seen.status = int((await reader.readline()).split()[1])
        async for line in reader:
            if line.startswith(b"data: [DONE]"):
                seen.done = True
            elif line.startswith(b"data: "):
                seen.times.append(time.perf_counter() - began)
                seen.finish = json.loads(line[6:])["choices"][0]["finish_reason"] or seen.finish
        writer.close()
        return seen

    async def busy(self) -> int:
        """Slots in use."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self.head("GET", "/metrics"))
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        return int(next(line.split()[1] for line in lines if line.startswith("elboroom_slots_busy ")))


@contextmanager
def serving(options: Options, folder: Path, words: list[str]) -> Iterator[Served]:
    call = [sys.executable, "-m", "elboroom", *words, "--port", "0", "--json"]
    env = environment(options.threads, Path(sys.executable))
    with subprocess.Popen(call, cwd=folder, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server ended before it began")
            text += line
        begun = json.loads(text)
        try:
            yield Served(int(begun["url"].rpartition(":")[2]), begun["token"])
        finally:
            process.terminate()
            process.wait(20)


def run(options: Options) -> Result:
    result = options.begin(NAME, __doc__.splitlines()[0], PROTOCOL, "20 streams on a net that is hardly trained")
    folder = options.scratch(NAME)
    clients = 20 if options.short else 200
    size = ["--layers", 1, "--heads", 2, "--width", 16] if options.short else []
    steps = 2 if options.short else 50
    words = ["gpt", "pydocs", "--tokenizer", "char", *size, "--steps", steps, "--run", "writer", "--force"]
    command, _ = recipe.fit(options, folder, words)
    result.commands.append(command)
    run_json = json.loads((folder / "writer" / "run.json").read_text(encoding="utf-8"))
    result.data = {key: run_json["data"][key] for key in ("name", "fingerprint")}
    wide = ["serve", "writer", "--slots", str(clients)]
    with serving(options, folder, wide) as served:
        result.commands.append("elboroom " + " ".join(wide))
        rounds = [asyncio.run(_together(served, clients, i)) for i in range(2 if options.short else 4)][1:]
        _report(result, rounds, clients)
        freed = asyncio.run(_cut(served, clients // 2))
        result.add("100 streams cut, until their slots are free", round_off(freed), "s", "<= 0.2", how="one trial")
    narrow = ["serve", "writer", "--slots", "8", "--queue", "0"]
    with serving(options, folder, narrow) as served:
        result.commands.append("elboroom " + " ".join(narrow))
        seen = asyncio.run(_together(served, clients, 9))
        told = [stream.status for stream in seen]
        others = sum(status not in (200, 429) for status in told)
        broken = sum(stream.status == 200 and not stream.done for stream in seen)
        result.add("8 slots: streams neither whole nor told 429", others + broken, "streams", "<= 0")
        result.details["8 slots"] = {str(status): told.count(status) for status in sorted(set(told))}
    return result


async def _together(served: Served, clients: int, turn: int) -> list[Stream]:
    rng = random.Random(turn)
    prompts = ["".join(rng.choice("etaoin shrdlu") for _ in range(PROMPT)) for _ in range(clients)]
    return await asyncio.gather(*(served.stream(prompt, i, TOKENS) for i, prompt in enumerate(prompts)))


async def _cut(served: Served, clients: int) -> float:
    """Seconds from cutting the connections until no slot is in use."""
    held = [await served.opened(prompt="a", max_tokens=16_000, stream=True) for _ in range(clients)]
    while await served.busy() < clients:
        await asyncio.sleep(0.05)
    for _, writer in held:
        writer.transport.abort()
    began = time.perf_counter()
    while await served.busy():
        await asyncio.sleep(0.005)
    return time.perf_counter() - began


def _report(result: Result, rounds: list[list[Stream]], clients: int) -> None:
    every = [stream for seen in rounds for stream in seen]
    whole = sum(stream.done and stream.finish in ("length", "stop") for stream in every)
    result.add("streams that did not come whole", len(every) - whole, "streams", "<= 0", how=f"of {len(every)}")
    firsts = [_share([stream.times[0] for stream in seen], 0.99) for seen in rounds]
    how = f"worst of {len(rounds)} rounds of {clients} streams, with the best"
    result.add(
        "first byte, 99th percentile",
        round_off(max(firsts)),
        "s",
        "<= 1",
        low=round_off(min(firsts)),
        high=round_off(max(firsts)),
        how=how,
    )
    middle = statistics.median(stream.times[0] for stream in every)
    result.add("first byte, median", round_off(middle), "s", how="of all streams")
    gaps = [b - a for stream in every for a, b in zip(stream.times, stream.times[1:], strict=False)]
    result.add("between two events, 99th percentile", round_off(_share(gaps, 0.99)), "s", how="of all streams")
    rates = [clients * TOKENS / max(stream.times[-1] for stream in seen) for seen in rounds]
    result.add(
        "tokens of all streams, at most", round_off(statistics.median(rates)), "a second", how="median of rounds"
    )


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
