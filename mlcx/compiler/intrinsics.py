"""Importing what TVM knows of matrix units, in a tenth of the time that it takes.

The module defines hundreds of functions whose decorator calls `inspect.stack`, which
looks up the file of every frame among all modules: half a minute. Frames without
their files are all that the decorator needs there.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tvm.target import Target

__all__ = ["load_intrinsics"]

_MODULE = "tvm.s_tir.tensor_intrin"
_KINDS = frozenset({"cuda", "metal", "rocm"})
"""Kinds of targets whose schedules import it."""


def load_intrinsics(target: Target) -> None:
    """Import the intrinsics if schedules for ``target`` would."""
    if target.kind.name in _KINDS and _MODULE not in sys.modules:
        with _plain_frames():
            importlib.import_module(_MODULE)


@contextmanager
def _plain_frames() -> Iterator[None]:
    """Let `inspect.stack` return frames without source lines meanwhile.

    A decorator then takes no function for one in a class, which holds for this module.
    """
    original = inspect.stack
    inspect.stack = _stack
    try:
        yield
    finally:
        inspect.stack = original


def _stack(context: int = 1) -> list[inspect.FrameInfo]:
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame is not None:
        code = frame.f_code
        info = (frame, code.co_filename, frame.f_lineno, code.co_name, None, None)
        frames.append(inspect.FrameInfo(*info))
        frame = frame.f_back
    return frames
