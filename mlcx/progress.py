"""How far a step is: for the build that runs it, or on a terminal when run by hand.

A build that shows it names a file in ``MLCX_PROGRESS``, which holds what the step said
last. Where nobody looks, nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = [
    "VARIABLE",
    "Bar",
    "Stage",
    "above",
    "bar",
    "draws",
    "listens",
    "read",
    "say",
]

VARIABLE = "MLCX_PROGRESS"

_PERIOD = 0.2
"""Seconds between two reports of bytes."""


@dataclass(frozen=True)
class Stage:
    """What a step does now, and how many bytes of it are done, where it counts them."""

    text: str
    done: int | None = None
    total: int | None = None


class Bar(Protocol):
    """Is told, from any thread, how many more bytes are done."""

    def update(self, n: int, /) -> object:
        """Say that ``n`` more bytes are done."""

    def close(self) -> None:
        """Say that no more come."""


def listens() -> bool:
    """Whether a build shows what this process says."""
    return bool(os.environ.get(VARIABLE))


def draws(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``stream`` is a terminal on which lines may be drawn over."""
    plain = environ.get("CI") or environ.get("TERM", "dumb") == "dumb"
    return stream.isatty() and not plain


def say(text: str) -> None:
    """Say what the step does from now on; by hand, nothing is printed."""
    path = os.environ.get(VARIABLE)
    if path:
        _write(Path(path), Stage(text))


def bar(
    text: str,
    total: int,
    done: int = 0,
    *,
    delay: float = 0,
    environ: Mapping[str, str] = os.environ,
) -> Bar:
    """Return what is told how many of ``total`` bytes are done.

    Args:
        text: What is done with them.
        total: Bytes.
        done: How many of them already are.
        delay: Seconds before a terminal shows it.
        environ: May name the file in which a build looks.
    """
    path = environ.get(VARIABLE)
    if path:
        return _Told(Path(path), text, total, done)
    return _tqdm()(
        desc=text,
        total=total,
        initial=done,
        unit="B",
        unit_scale=True,
        unit_divisor=1000,
        dynamic_ncols=True,
        delay=delay,
        disable=not draws(sys.stderr),
    )


def above(line: str) -> None:
    """Print ``line`` on stderr, above a bar that is there."""
    _tqdm().write(line, file=sys.stderr)
    sys.stderr.flush()


@cache
def _tqdm() -> type[tqdm[NoReturn]]:
    """Return a tqdm with a lock of threads.

    Its own is one of processes, too: for that, Python starts another one on a Mac,
    which takes modules from the current folder.
    """
    from tqdm import tqdm  # noqa: PLC0415 (only for what takes time)

    return type("tqdm", (tqdm,), {"_lock": threading.RLock()})


def read(path: Path) -> Stage | None:
    """Return what a step said last in ``path``; None: nothing, or it is writing."""
    try:
        value = json.loads(path.read_bytes())
        return Stage(str(value["text"]), value["done"], value["total"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, stage: Stage) -> None:
    # A step does not fail because nobody can be told of it.
    with contextlib.suppress(OSError):
        path.write_text(json.dumps(asdict(stage)), encoding="utf-8")


class _Told:
    """Counts bytes, and writes the count down now and then."""

    def __init__(self, path: Path, text: str, total: int, done: int) -> None:
        self._path, self._text, self._total, self._done = path, text, total, done
        self._guard = threading.Lock()
        self._tell()

    def update(self, n: int, /) -> None:
        """Say that ``n`` more bytes are done."""
        with self._guard:
            self._done += n
            if time.monotonic() >= self._next:
                self._tell()

    def close(self) -> None:
        """Say that no more come."""
        with self._guard:
            self._tell()

    def _tell(self) -> None:
        _write(self._path, Stage(self._text, self._done, self._total))
        self._next = time.monotonic() + _PERIOD
