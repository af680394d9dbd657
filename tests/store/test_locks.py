"""Locks on what is being made: one at a time, also after a crash."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from mlcx.store.locks import Locks

HOLD = """
import sys, time
from pathlib import Path
from mlcx.store.locks import Locks
with Locks(Path(sys.argv[1])).held("a", lambda: False):
    print("held", flush=True)
    time.sleep(600)
"""


def never() -> bool:
    return False


def test_threads_exclude_each_other_by_key(tmp_path: Path) -> None:
    locks, inside, most = Locks(tmp_path / "locks"), [0], [0]
    waited = []

    def work() -> None:
        with locks.held("a", lambda: bool(waited.append(1))):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    with locks.held("b", never):
        with locks.held("a", never):
            for thread in threads:
                thread.start()
            while len(waited) < len(threads):
                time.sleep(0.02)
            assert most == [0]
        for thread in threads:
            thread.join()
    assert most == [1]
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waited: list[float] = []

        def waiting() -> bool:
            if not waited:
                holder.kill()
            waited.append(time.monotonic())
            return False

        with Locks(tmp_path).held("a", waiting):
            assert waited


def test_who_does_not_wait_goes_on_without_the_lock(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    with locks.held("a", never):
        with locks.held("a", lambda: True):
            pass
        assert (tmp_path / "a").exists()


def test_where_no_lock_can_be_made_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with Locks(tmp_path / "file").held("a", never):
        pass
