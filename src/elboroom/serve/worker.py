"""One thread that has the run to itself: it writes texts for many requests at once, and answers the others in turn.

Between two tokens it takes in what has come: new texts where slots are free, the ends of those nobody waits for, one
call. What cannot begin waits in a queue of known length; what does not fit there is refused at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from elboroom.core.errors import ElboroomError
from elboroom.web.answers import Refusal

from .counts import Counts
from .ticket import Ticket

if TYPE_CHECKING:
    from elboroom.batching import Batch, Gain, Row
    from elboroom.generation import Asked
    from elboroom.run import Run

__all__ = ["Worker", "full"]

Result = TypeVar("Result")
_log = logging.getLogger("elboroom.serve")
Call = tuple[Callable[[], Any], "asyncio.Future[Any]"]


def full(what: str) -> Refusal:
    """For more than there is room for."""
    return Refusal(429, f"{what}; ask again in a second", code="full", headers={"retry-after": "1"})


class Worker:
    """`slots` texts are written at once, `queue` more may wait. Its methods belong to the event loop's thread."""

    def __init__(self, run: Run, *, slots: int, queue: int, counts: Counts) -> None:
        self.run, self.slots, self.queue, self.counts = run, slots, queue, counts
        self._changed = threading.Condition()
        self._calls: deque[Call] = deque()
        self._arrived: deque[tuple[Ticket, Sequence[str], Asked]] = deque()
        self._waiting: deque[Row] = deque()
        self._ended: list[Ticket] = []
        self._owners: dict[int, Ticket] = {}
        self._held = 0
        """Texts that were admitted and have not ended."""
        self._stopping = False
        self._batch: Batch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="run", daemon=True)

    # -- from the event loop -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, on the event loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End every text where it is, then the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    @property
    def busy(self) -> int:
        """Slots in use."""
        return len(self._batch.rows) if self._batch is not None else 0

    @property
    def waiting(self) -> int:
        """Texts admitted that have no slot yet."""
        return max(0, self._held - self.busy)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    async def call(self, work: Callable[[], Result]) -> Result:
        """Have `work` done by the thread; refused where as many wait already as the queue is long."""
        found: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._refuse_where_stopped()
            if len(self._calls) > self.queue:
                raise full(f"{len(self._calls)} calls are waiting")
            self._calls.append((work, found))
            self._changed.notify()
        return await found

    def write(self, prompts: Sequence[str], asked: Asked) -> Ticket:
        """Have texts written; refused where slots and queue have no room for all of them."""
        count, room = len(prompts) * asked.n, self.slots + self.queue
        if count > room:
            raise Refusal(400, f"{count} texts in one request; this server takes {room} at once", code="too_many")
        with self._changed:
            self._refuse_where_stopped()
            if self._held + count > room:
                self.counts.refused += 1
                raise full(f"all {self.slots} slots are in use and the queue of {self.queue} is full")
            ticket = Ticket(count)
            self._held += count
            self._arrived.append((ticket, prompts, asked))
            self._changed.notify()
        return ticket

    def end(self, ticket: Ticket) -> None:
        """End its texts where they are, before the next token."""
        with self._changed:
            self._ended.append(ticket)
            self._changed.notify()

    def _refuse_where_stopped(self) -> None:
        if self._stopping or not self._thread.is_alive():
            raise Refusal(503, "the server is stopping", code="stopping")

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._calls or self._arrived or self._ended or self._stopping or self._rows()):
                    self._changed.wait()
                stopping, ended, self._ended = self._stopping, self._ended, []
                arrived, self._arrived = self._arrived, deque()
                call = self._calls.popleft() if self._calls else None
            for ticket, prompts, asked in arrived:
                self._take_in(ticket, prompts, asked)
            self._drop([row for row in self._rows() if stopping or self._owners[id(row)] in ended])
            if stopping:
                self._turn_away(call)
                return
            if call is not None:
                self._answer(*call)
            self._advance()

    def _rows(self) -> list[Row]:
        return [*(self._batch.rows if self._batch is not None else ()), *self._waiting]

    def _take_in(self, ticket: Ticket, prompts: Sequence[str], asked: Asked) -> None:
        from elboroom.batching import Batch, rows
        from elboroom.generation import model_and_tokenizer

        try:
            if self._batch is None:
                self._batch = Batch(*model_and_tokenizer(self.run))
            made = rows(self._batch.tokenizer, prompts, asked)
        except Exception as error:
            self._fail({ticket: ticket.count}, error)
            return
        self._owners |= {id(row): ticket for row in made}
        self._waiting.extend(made)
        ticket.read(made)

    def _advance(self) -> None:
        """One token for every text."""
        free = self.slots - self.busy
        new = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        if self._batch is None or not (self._batch.rows or new):
            return
        try:
            gains = self._batch.advance(new)
        except Exception as error:
            lost = {id(row): row for row in [*self._batch.rows, *new]}
            self._batch.leave(self._batch.rows)
            owners: dict[Ticket, int] = {}
            for row in lost.values():
                owner = self._owners.pop(id(row))
                owners[owner] = owners.get(owner, 0) + 1
            self._fail(owners, error)
            return
        self.counts.tokens += len(gains)
        self._deliver(gains)

    def _deliver(self, gains: Iterable[Gain]) -> None:
        """Hand over what was written, all of it in one turn of the event loop."""
        by_ticket: dict[Ticket, list[Gain]] = {}
        ended = 0
        for gain in gains:
            owner = self._owners[id(gain.row)]
            by_ticket.setdefault(owner, []).append(gain)
            if gain.done is not None:
                del self._owners[id(gain.row)]
                ended += 1

        def hand_over() -> None:
            for ticket, found in by_ticket.items():
                ticket.gain(found)

        self._tell(hand_over, ended)

    def _drop(self, gone: list[Row]) -> None:
        """End texts where they are."""
        from elboroom.batching import Gain

        if not gone:
            return
        if self._batch is not None:
            self._batch.leave(gone)
        left = {id(row) for row in gone}
        self._waiting = deque(row for row in self._waiting if id(row) not in left)
        self.counts.cancelled += len(gone)
        self._deliver([Gain(row, "", None, row.cancelled()) for row in gone])

    def _fail(self, owners: dict[Ticket, int], error: Exception) -> None:
        self._note(error)

        def tell() -> None:
            for ticket in owners:
                ticket.fail(error)

        self._tell(tell, sum(owners.values()))

    def _answer(self, work: Callable[[], Any], found: asyncio.Future[Any]) -> None:
        if found.cancelled():
            return
        try:
            result, error = work(), None
        except Exception as raised:
            self._note(raised)
            result, error = None, raised

        def settle() -> None:
            if found.done():
                return
            if error is None:
                found.set_result(result)
            else:
                found.set_exception(error)

        self._tell(settle)

    def _turn_away(self, call: Call | None) -> None:
        with self._changed:
            left = [*([call] if call else []), *self._calls]
            self._calls.clear()
        for _, found in left:
            self._tell(found.cancel)

    def _note(self, error: Exception) -> None:
        if not isinstance(error, ElboroomError | Refusal):
            _log.error("the run's thread", exc_info=error)

    def _tell(self, what: Callable[[], Any], ended: int = 0) -> None:
        with self._changed:
            self._held -= ended
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended before us
            self._loop.call_soon_threadsafe(what)
