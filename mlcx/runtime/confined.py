"""Running apart what may run for ever or take all memory, since others wrote it."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from mlcx.errors import BuildError, MlcxError

__all__ = ["confined"]

_SECONDS = 20.0
_MEMORY = 1 << 31
"""Bytes of address space, where the system can limit that."""


def confined(
    function: Callable[..., Any], *args: Any, seconds: float = _SECONDS
) -> Any:
    """Return what ``function(*args)`` returns in a process of its own.

    Args:
        function: Of a module's top level; returns what JSON can hold.
        args: What it is given; they are pickled.
        seconds: It may take.

    Raises:
        BuildError: It raised an error of ours, took too long, or too much memory.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(sender, function, args), daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise BuildError(f"it takes more than {seconds:g} s")
        answer = json.loads(receiver.recv_bytes())
    except (EOFError, ConnectionError) as error:
        raise BuildError("it takes too much memory, or crashes") from error
    finally:
        child.kill()
        child.join()
        receiver.close()
    if "error" in answer:
        raise BuildError(answer["error"])
    return answer["result"]


def _run(sender: Connection, function: Callable[..., Any], args: Any) -> None:
    """Be the process: answer once, and end without a word when that cannot be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _limit_memory()
    try:
        answer = {"result": function(*args)}
    except MlcxError as error:
        answer = {"error": error.report()}
    except MemoryError:
        return
    sender.send_bytes(json.dumps(answer).encode())


def _limit_memory() -> None:
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
