"""Threads: one for each physical core, unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlcx.runtime import threads


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="not Linux")
def test_processors_that_share_a_core_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cpu in range(4):
        file = tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    monkeypatch.setattr(threads, "_TOPOLOGY", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(threads, "processors", lambda: 3)
    assert threads.cores() == 2
    monkeypatch.setattr(threads, "processors", lambda: 1)
    assert threads.cores() == 1


def test_the_users_variable_wins_over_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TVM_NUM_THREADS", "7")
    threads.set_threads(None)
    assert os.environ["TVM_NUM_THREADS"] == "7"


def test_a_given_number_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVM_NUM_THREADS", "7")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    threads.set_threads(3)
    assert os.environ["TVM_NUM_THREADS"] == "3"


def test_without_a_variable_every_core_gets_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TVM_NUM_THREADS", "")
    monkeypatch.delenv("TVM_NUM_THREADS")
    threads.set_threads(None)
    assert os.environ["TVM_NUM_THREADS"] == str(threads.cores())
