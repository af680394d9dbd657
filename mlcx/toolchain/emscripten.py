"""Emscripten: the compiler of C++ for the web.

Only compiling and the libraries are Emscripten's here: linking is for zig, which takes
a tenth of a second where ``emcc`` takes minutes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mlcx.errors import BuildError
from mlcx.toolchain import programs

__all__ = ["REMEDY", "program", "run", "version"]

REMEDY = "apt-get install emscripten"

_PROGRAM = "emcc"
_VERSION = "emscripten-version.txt"
"""Beside the program."""
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)+")


def program() -> str | None:
    """Return the path of the compiler; None: there is none."""
    return shutil.which(_PROGRAM)


def version() -> str | None:
    """Return its version; None: it is not there.

    A release says it in a file, too; asking the program takes half a second.
    """
    path = program()
    if path is None:
        return None
    try:
        text = (Path(path).resolve().parent / _VERSION).read_text(encoding="utf-8")
    except OSError:
        text = ""
    released = _RELEASE.fullmatch(text.strip().strip('"'))
    return f"{released[0] if released else _asked(path)}{_configured()}"


def _configured() -> str:
    """Return what tells one file that EM_CONFIG names from others; "": it names none.

    Such a file may name another compiler. Of other variables emcc gets none.
    """
    try:
        content = Path(os.environ.get("EM_CONFIG", "")).expanduser().read_bytes()
    except OSError:
        return ""
    return f", EM_CONFIG {hashlib.sha256(content).hexdigest()[:12]}"


@cache
def _asked(program: str) -> str:
    """Return what ``program`` says of its version, without what it says of itself."""
    return programs.says(program, "--version").rpartition("GNU ld)")[2].strip()


def run(options: Sequence[str | Path], folder: Path) -> None:
    """Run the compiler with ``options`` in ``folder``.

    Raises:
        BuildError: It failed, or is not installed.
    """
    programs.run([str(_found()), *map(str, options)], folder, "compiling")


def _found() -> Path:
    path = program()
    if path is None:
        raise BuildError(f"emscripten is not installed: {REMEDY}")
    return Path(path)
