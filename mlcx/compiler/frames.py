"""Parsing TVM's scripts without looking up the file of every frame of the stack.

Its decorators and macros ask for the frames around them, and `inspect` then searches
all modules for the file of each: most of the time that small functions take to parse.
What they make use of is a frame's variables alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["plain_frames"]


@contextmanager
def plain_frames() -> Iterator[None]:
    """Let `inspect` return frames without source lines meanwhile.

    A decorator then takes no function for one in a class: parse no such ones here.
    """
    original = inspect.getouterframes
    inspect.getouterframes = _outer
    try:
        yield
    finally:
        inspect.getouterframes = original


def _outer(frame: FrameType | None, context: int = 1) -> list[inspect.FrameInfo]:
    frames = []
    while frame is not None:
        code = frame.f_code
        info = (frame, code.co_filename, frame.f_lineno, code.co_name, None, None)
        frames.append(inspect.FrameInfo(*info))
        frame = frame.f_back
    return frames
