"""What a build has started ends with it, at once or after a moment of grace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from mlcx.scons.watchdog import GRACE, Watchdog

from .project import PATIENCE


def sleeper(first: str = "") -> subprocess.Popen[str]:
    text = f"import signal, time\n{first}\nprint(flush=True)\ntime.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def ended(*processes: subprocess.Popen[str]) -> Sequence[int]:
    statuses = []
    for process in processes:
        process.communicate(timeout=PATIENCE)
        statuses.append(process.returncode)
    return statuses


def test_what_runs_ends_with_the_build_and_what_has_ended_is_left_alone() -> None:
    watchdog = Watchdog()
    watchdog.start()
    # Python itself may take longer to end than the grace, on a busy machine.
    at_once = "signal.signal(signal.SIGINT, signal.SIG_DFL)"
    one, two, other = sleeper(at_once), sleeper(at_once), sleeper()
    try:
        for each in (one, two, other):
            watchdog.began(each.pid)
        watchdog.ended(other.pid)
        assert one.poll() is None
        del watchdog
        # As Ctrl-C does, so that a step can clean up.
        assert ended(one, two) == [-signal.SIGINT] * 2
        assert other.poll() is None
    finally:
        other.kill()
        other.communicate()


def test_what_does_not_end_is_killed() -> None:
    watchdog = Watchdog()
    watchdog.start()
    step = sleeper("signal.signal(signal.SIGINT, signal.SIG_IGN)")
    watchdog.began(step.pid)
    began = time.monotonic()
    del watchdog
    assert ended(step) == [-signal.SIGKILL]
    assert time.monotonic() - began >= GRACE


def test_a_build_goes_on_when_somebody_kills_it() -> None:
    watchdog = Watchdog()
    watchdog.start()
    process = watchdog._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    watchdog.began(1 << 22)
    watchdog.ended(1 << 22)
