"""What a transformer keeps of the texts it is reading: keys and values of each layer, and the tokens themselves.

A layer keeps its last `slots` positions in a ring, position p in slot p mod slots: all of the context where it looks
everywhere, a window's width where it does not. Rows are texts of their own, of any length; nothing is padded.
Shapes: R rows, H heads, S slots, D width of a head, N new tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["KeyValues", "TextMemory"]


class KeyValues:
    """One layer's ring: keys and values (R, H, S, D). Slots that were never written hold zeros, never rubbish."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values

    @classmethod
    def empty(cls, rows: int, heads: int, slots: int, width: int, like: Tensor) -> KeyValues:
        """A ring in the dtype and on the device of `like`."""
        shape = (rows, heads, slots, width)
        return cls(like.new_zeros(shape), like.new_zeros(shape))

    @property
    def slots(self) -> int:
        return self.keys.shape[2]

    def write(self, k: Tensor, v: Tensor, used: Sequence[int]) -> None:
        """Put (R, H, N, D) at each row's next positions; of more than S tokens only the last S can stay."""
        n, slots = k.shape[2], self.slots
        if n > slots:
            k, v = k[:, :, -slots:], v[:, :, -slots:]
            used, n = [u + n - slots for u in used], slots
        if all(u == used[0] for u in used):
            first = used[0] % slots
            cut = min(n, slots - first)
            for ring, new in ((self.keys, k), (self.values, v)):
                ring[:, :, first : first + cut] = new[:, :, :cut]
                if cut < n:
                    ring[:, :, : n - cut] = new[:, :, cut:]
            return
        at = (torch.tensor(used, device=k.device)[:, None] + torch.arange(n, device=k.device)) % slots
        at = at[:, None, :, None].expand(-1, k.shape[1], -1, k.shape[3])
        self.keys.scatter_(2, at, k)
        self.values.scatter_(2, at, v)

    def pick(self, rows: Tensor) -> KeyValues:
        return KeyValues(self.keys.index_select(0, rows), self.values.index_select(0, rows))

    def put(self, rows: Tensor, other: KeyValues) -> None:
        """Take over the other's rows as the given ones."""
        self.keys.index_copy_(0, rows, other.keys)
        self.values.index_copy_(0, rows, other.values)


class TextMemory:
    """The rings of all layers, the tokens of each row's present window, and how many were read in all.

    `tokens` (rows, context), or (rows, 0) for a model that reads on without end. `used[r]` tokens of row r are in its
    window, at positions 0 .. used - 1; `read[r]` were read since its start.
    Both are plain numbers: to know how far a row is must not wait for the device.
    """

    def __init__(self, layers: list[KeyValues], tokens: Tensor, used: list[int], read: list[int]) -> None:
        self.layers, self.tokens, self.used, self.read = layers, tokens, used, read

    @property
    def lengths(self) -> Tensor:
        """(rows,) int64: tokens read so far."""
        return torch.tensor(self.read, dtype=torch.int64, device=self.tokens.device)

    @classmethod
    def empty(cls, rows: int, slots: Sequence[int], heads: int, width: int, held: int, like: Tensor) -> TextMemory:
        """Nothing read: one ring a layer, and room for the `held` tokens of a window."""
        rings = [KeyValues.empty(rows, heads, n, width, like) for n in slots]
        tokens = torch.zeros(rows, held, dtype=torch.int64, device=like.device)
        return cls(rings, tokens, [0] * rows, [0] * rows)

    def read_on(self, tokens: Tensor, forward: Callable[[Tensor, TextMemory], Tensor]) -> Tensor:
        """forward(tokens, memory) of (R, N) further tokens, (R, N, ...), part by part as the windows have room.

        Where a row's window is full its last half is read again from position 0, and the text goes on from there.
        """
        found, context = [], self.tokens.shape[1]
        while tokens.shape[1]:
            room = tokens.shape[1]
            if context:
                full = [row for row, used in enumerate(self.used) if used == context]
                if full:
                    keep = min(context - context // 2, context - 1)
                    again, last = self.forget(full, keep)
                    if keep:
                        forward(last, again)
                        again.note(last)
                    self.put(full, again)
                room = min(room, context - max(self.used))
            found.append(forward(tokens[:, :room], self))
            self.note(tokens[:, :room])
            tokens = tokens[:, room:]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def note(self, tokens: Tensor) -> None:
        """Write down that (R, N) tokens were read. A window without end keeps none of them."""
        n = tokens.shape[1]
        if self.tokens.shape[1]:
            for row, used in enumerate(self.used):
                self.tokens[row, used : used + n] = tokens[row]
        self.used = [u + n for u in self.used]
        self.read = [r + n for r in self.read]

    def pick(self, rows: Tensor) -> TextMemory:
        """The given rows, in the given order, as copies."""
        which = rows.tolist()
        rows = rows.to(self.tokens.device)
        return TextMemory(
            [layer.pick(rows) for layer in self.layers],
            self.tokens.index_select(0, rows),
            [self.used[i] for i in which],
            [self.read[i] for i in which],
        )

    def join(self, others: Sequence[TextMemory]) -> TextMemory:
        """One memory of these rows, then those of the others."""
        every = [self, *others]
        rings = zip(*(memory.layers for memory in every), strict=True)
        return TextMemory(
            [KeyValues(torch.cat([x.keys for x in r]), torch.cat([x.values for x in r])) for r in rings],
            torch.cat([memory.tokens for memory in every]),
            [u for memory in every for u in memory.used],
            [r for memory in every for r in memory.read],
        )

    def forget(self, rows: list[int], keep: int) -> tuple[TextMemory, Tensor]:
        """A fresh memory for some rows and their last `keep` tokens (rows, keep), to be read again from position 0."""
        again = torch.stack([self.tokens[row, self.used[row] - keep : self.used[row]] for row in rows])
        first = self.layers[0].keys
        slots = [layer.slots for layer in self.layers]
        return TextMemory.empty(len(rows), slots, first.shape[1], first.shape[3], self.tokens.shape[1], first), again

    def put(self, rows: list[int], other: TextMemory) -> None:
        """Take over the other's rows as the given ones; what they have read in all stays."""
        at = torch.tensor(rows, device=self.tokens.device)
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            mine.put(at, theirs)
        self.tokens.index_copy_(0, at, other.tokens)
        for row, used in zip(rows, other.used, strict=True):
            self.used[row] = used
