"""The peak is of what happened since it was forgotten."""

from __future__ import annotations

import gc

import pytest
import torch

from elboroom.engine import memory

CPU = torch.device("cpu")
MIB = 1 << 20


def test_a_peak_holds_what_is_no_longer_there_until_it_is_forgotten() -> None:
    gc.collect()  # what other tests left would shrink the process meanwhile
    memory.forget_peak(CPU)
    before = memory.peak_bytes(CPU)
    held = torch.ones(256 * MIB // 4)
    del held
    after = memory.peak_bytes(CPU)
    assert after - before == pytest.approx(256 * MIB, rel=0.25)
    memory.forget_peak(CPU)
    if memory.peak_bytes(CPU) >= after:
        pytest.skip("this system cannot reset the peak of a process")
    assert memory.peak_bytes(CPU) < after - 128 * MIB


def test_where_there_is_no_proc_the_peak_is_that_of_the_whole_process(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "missing")
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "no" / "folder")
    memory.forget_peak(CPU)
    assert memory.peak_bytes(CPU) > 50 * MIB
