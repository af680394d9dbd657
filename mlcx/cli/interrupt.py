"""Ctrl-C, whatever the code that it came in has made of it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["interruptible"]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the context in KeyboardInterrupt.

    TVM makes a RuntimeError of that when it passes through its own code, and a step in
    another process says only that it failed: any error after Ctrl-C counts as it.
    """
    pressed = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    if not _is_usual():
        yield
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is note:  # SCons keeps its own to the end
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_usual() -> bool:
    """Whether Ctrl-C is Python's, and a handler can be set."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler
