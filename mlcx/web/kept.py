"""The web runtime that was made once, kept for all builds of a user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
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
        # Who finds what it looks for comes by without a lock, and loads no library.
        from filelock import FileLock  # noqa: PLC0415

        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                before(path)
                make(path, bitcode)
    return path


def place(bitcode: Sequence[Path] = ()) -> Path:
    """Return where the runtime is kept that is made of what is here now.

    What decides that is part of what the step ``web_runtime`` signs, which is more: a
    release that changes nothing of the runtime finds the one that was kept.
    """
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
