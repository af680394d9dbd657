"""The web runtime that was made once, kept for all builds of a user."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlcx.home import home
from mlcx.toolchain import emscripten, zig
from mlcx.toolchain.distributions import version_of
from mlcx.web.runtime import make

__all__ = ["kept", "place"]

_FOLDER = "web_runtime"

_CODE = (Path(__file__).parent, Path(emscripten.__file__).parent)
"""What makes it, and the headers that it is made with."""


def kept(
    bitcode: Sequence[Path] = (), before: Callable[[Path], None] = lambda _: None
) -> Path:
    """Return the runtime; one that was made of the same is not made again.

    Of several processes that want it at once, one makes it and the others wait.

    Args:
        bitcode: To make it of; none: of the sources in TVM's wheel.
        before: Called with its place before it is made, which takes minutes.

    Raises:
        BuildError: It cannot be made.
    """
    path = place(bitcode)
    if not path.is_file():
        with _locked(path.with_suffix(".lock")):
            if not path.is_file():
                before(path)
                make(path, bitcode)
    return path


def place(bitcode: Sequence[Path] = ()) -> Path:
    """Return where the runtime is kept that is made of what is here now."""
    files = [*_code(), *bitcode]
    made_of = {
        "tvm": [version_of(name) for name in ("apache-tvm", "apache-tvm-ffi")],
        "emscripten": emscripten.version(),
        "zig": zig.version(),
        "files": [_digest(file) for file in files],
        "bitcode": bool(bitcode),
    }
    text = json.dumps(made_of, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    return home() / _FOLDER / f"{key[:16]}.o"


def _code() -> Iterator[Path]:
    for folder in _CODE:
        files = sorted(folder.rglob("*"))
        yield from (file for file in files if file.suffix in {".py", ".h"})


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock ``path``, which ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
