"""What a person sees of a build on a terminal, and what others get."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from .project import Project

SHOWN = re.compile(rb"\d:\d\d .*compile .*one, q4f16_1, cpu .*working on dist/lib/one")
HIDE, UP = "\x1b[?25l", "\x1b[1A\x1b[2K"


def on_a_terminal(project: Project, *args: str, end: int = 0, **environ: str) -> str:
    """Build on a pseudo-terminal; when a step hangs, send ``end`` to what to end."""
    main, other = pty.openpty()
    size = {"COLUMNS": "100", "LINES": "24"}
    shown = {"TERM": "xterm", "CI": "", "NO_COLOR": "1", **size, **environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "SCons", "-Q", *args],
        cwd=project.root,
        env={**os.environ, **project.environ, **shown},
        stdout=other,
        stderr=other,
    )
    os.close(other)
    hanging = project.control / "hanging"
    found = b""
    while True:
        try:
            found += os.read(main, 4096)
        except OSError:  # the last process closed the other end
            break
        if hanging.exists() and SHOWN.search(found):
            step = int(hanging.read_text())
            hanging.unlink()
            if end == signal.SIGINT:
                process.send_signal(end)
            else:
                os.killpg(step, signal.SIGKILL)
    os.close(main)
    assert process.wait() in (0, 2)
    return found.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("end", "status"), [(signal.SIGKILL, "failed"), (signal.SIGINT, "interrupted")]
)
def test_what_runs_is_drawn_and_the_terminal_left_clean(
    project: Project, end: signal.Signals, status: str
) -> None:
    project.order("hang", "dist/lib/one.so")
    seen = on_a_terminal(project, "dist/lib/one.so", end=end)
    assert SHOWN.search(seen.encode())
    # One file is asked for: all others are no part of the total.
    assert "2 of 3 done, 1 running" in seen
    assert HIDE not in seen, "after a kill nobody would show the cursor again"
    _, drawn, after = seen.rpartition(UP)
    assert drawn
    after = re.sub(r"\x1b\[\d*m", "", after)
    assert "\x1b" not in after
    assert "not built" not in after
    assert re.search(rf"^compile +one +q4f16_1 +cpu +{status} ", after, re.MULTILINE)


def test_plain_lines_are_all_there_is_under_ci_and_none_when_silent(
    project: Project,
) -> None:
    one, two = (f"build/{name}/model/mlc-chat-config.json" for name in ("one", "two"))
    seen = on_a_terminal(project, one, CI="true")
    assert "\x1b" not in seen
    assert "running" not in seen
    assert re.search(r"^gen_config +one +q4f16_1 +built ", seen, re.MULTILINE)
    assert on_a_terminal(project, "-s", two) == ""
