"""Running apart what may run for ever or take all memory, since others wrote it."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from mlcx import interpreter
from mlcx.errors import BuildError, MlcxError

__all__ = ["confined"]

_SECONDS = 20.0
_MEMORY = 1 << 31
"""Bytes of address space, where the system can limit that."""


def confined(
    function: Callable[..., Any], *args: Any, seconds: float = _SECONDS
) -> Any:
    """Return what ``function(*args)`` returns in a process of its own.

    That is started as all of mlcx's are: no file of the current folder is code to it.

    Args:
        function: Of a module's top level; returns what JSON can hold.
        args: What it is given, which JSON can hold.
        seconds: It may take.

    Raises:
        BuildError: It raised an error of ours, took too long, or too much memory.
    """
    called = [function.__module__, function.__name__, args]
    try:
        done = subprocess.run(
            interpreter.command(__name__),
            input=json.dumps(called).encode(),
            capture_output=True,
            check=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"it takes more than {seconds:g} s") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").split("\n")[-2:-1]
        how = ": ".join(["it takes too much memory, or crashes", *last])
        raise BuildError(how) from error
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise BuildError(answer["error"])
    return answer["result"]


def _answer() -> None:
    """Be the process: answer once, and end without a word when that cannot be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    module, name, args = json.load(sys.stdin.buffer)
    _limit_memory()
    try:
        result = getattr(importlib.import_module(module), name)(*args)
        answer = {"result": result}
    except MlcxError as error:
        answer = {"error": error.report()}
    except MemoryError:
        sys.exit(1)
    sys.stdout.write(json.dumps(answer))


def _limit_memory() -> None:
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    _answer()
