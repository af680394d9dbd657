"""Leave out lines that C++ writes to stderr, where Python cannot catch them.

A process of its own hands on all others, so that also the last words of a process that
dies come through.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["without"]

_FILTER = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
texts = [text.encode() for text in sys.argv[1:]]
for line in sys.stdin.buffer:
    if not any(text in line for text in texts):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
"""It ends when nobody writes any more."""

_STDERR = 2


@contextmanager
def without(texts: Sequence[str]) -> Iterator[None]:
    """Leave out lines of stderr that hold one of ``texts``, as long as this lasts."""
    command = [sys.executable, "-I", "-S", "-c", _FILTER, *texts]
    sys.stderr.flush()
    own = os.dup(_STDERR)
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE) as handing_on:
            assert handing_on.stdin is not None
            os.dup2(handing_on.stdin.fileno(), _STDERR)
            handing_on.stdin.close()
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(own, _STDERR)
    finally:
        os.close(own)
