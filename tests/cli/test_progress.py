"""Progress: plain lines without a terminal, one updated line on one, time left as a range and not too soon."""

from __future__ import annotations

import io

import pytest

from elboroom.cli.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Clock:
    """Time as the test sets it, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _tick(step: int, steps: int = 1000, **more: object) -> dict[str, object]:
    return {"kind": "tick", "step": step, "steps": steps, **more}


def _driven(stream: io.StringIO, times: list[tuple[float, int]], steps: int = 1000) -> Progress:
    clock = Clock()
    progress = Progress(stream, clock)
    for now, step in times:
        clock.now = now
        progress(_tick(step, steps))
    return progress


def test_without_a_terminal_there_are_lines_and_no_control_characters() -> None:
    stream = io.StringIO()
    progress = _driven(stream, [(0.1 * i, i) for i in range(1, 1001)])
    progress({"kind": "choice", "message": "threads 1: a step is\nsmall \x1b[2J"})
    progress({"kind": "warning", "message": "slow"})
    progress.close()
    lines = stream.getvalue().splitlines()
    assert all(c.isprintable() for line in lines for c in line)
    assert "1,000 of 1,000 steps" in lines[-3]
    assert lines[-1] == "look at this: slow"
    assert 10 <= len(lines) - 2 <= 12  # 100 s, one line in ten seconds, and the last


def test_on_a_terminal_one_line_is_redrawn_once_a_second_and_ended() -> None:
    stream = Terminal()
    progress = _driven(stream, [(0.01 * i, i) for i in range(1, 1001)])
    progress.close()
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert 10 <= text.count("\r\x1b[K") <= 12


def test_a_message_does_not_land_inside_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    progress = _driven(stream, [(1.0, 10)])
    progress({"kind": "phase", "message": "measuring 180 test images"})
    assert stream.getvalue().endswith("\r\x1b[Kmeasuring 180 test images\n")


def test_a_narrow_terminal_never_gets_a_line_that_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    _driven(stream, [(1.0 * i, 10 * i) for i in range(1, 50)])
    assert max(len(part) for part in stream.getvalue().split("\r\x1b[K")) <= 39


@pytest.mark.parametrize(
    ("times", "shown"), [([(0, 0), (9, 90)], False), ([(0, 0), (11, 19)], False), ([(0, 0), (11, 110)], True)]
)
def test_time_left_comes_after_ten_seconds_and_twenty_steps(times: list[tuple[float, int]], shown: bool) -> None:
    stream = Terminal()
    _driven(stream, times)
    assert ("left" in stream.getvalue()) is shown


def test_time_left_is_a_range_between_the_rate_of_the_last_minute_and_of_the_whole_run() -> None:
    stream = io.StringIO()
    slow = [(float(t), t) for t in range(0, 601, 5)]  # one step a second for ten minutes
    fast = [(600.0 + t, 600 + 2 * t) for t in range(5, 66, 5)]  # then two
    _driven(stream, slow + fast, steps=2000)
    # last line at 660 s: 1,280 steps are left, 640 s at two a second, 1,173 s at 720 in 660 s
    assert "15 min (11 to 20) left" in stream.getvalue().splitlines()[-1]


def test_an_even_rate_gives_one_number() -> None:
    stream = io.StringIO()
    _driven(stream, [(float(t), 10 * t) for t in range(51)])
    assert "50 s left," in stream.getvalue().splitlines()[-1]


def test_the_last_two_percent_say_finishing() -> None:
    stream = io.StringIO()
    _driven(stream, [(0.0, 0), (100.0, 985)])
    assert "finishing" in stream.getvalue() and "left" not in stream.getvalue()


def test_only_the_first_of_several_processes_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    stream = io.StringIO()
    _driven(stream, [(float(t), t) for t in range(100)])
    assert stream.getvalue() == ""
