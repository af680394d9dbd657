"""What C++ writes to stderr, with lines left out of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mlcx.compiler.quiet import without


def test_only_lines_with_the_text_are_left_out(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with without(["noise", "chatter"]):
        os.write(2, b"first\n[1] noise, again\nsecond\nchatter\n")
        subprocess.run(["sh", "-c", "echo noise >&2; echo third >&2"], check=True)
    os.write(2, b"noise\n")
    assert capfd.readouterr().err == "first\nsecond\nthird\nnoise\n"


def test_stderr_is_as_before_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    before = os.fstat(2)
    with pytest.raises(ValueError, match="stop"), without(["noise"]):
        raise ValueError("stop")
    assert os.path.samestat(before, os.fstat(2))
    assert capfd.readouterr().err == ""


def test_last_words_of_a_process_that_dies_come_through() -> None:
    program = """
import os
from mlcx.compiler.quiet import without
with without(["noise"]):
    os.write(2, b"noise\\nlast words, without an end of line")
    os.abort()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode < 0
    assert done.stderr == "last words, without an end of line"
