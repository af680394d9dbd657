"""Emscripten's libraries of C and C++, which a runtime for the web is linked with.

Distributions have all of them; Emscripten's own installer compiles each when a program
first asks for it, which a linker of another maker does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mlcx.toolchain import emscripten, programs

__all__ = ["LIBRARIES", "REMEDY", "START", "folder"]

LIBRARIES = (
    *("standalonewasm-memgrow", "stubs", "noexit", "c", "dlmalloc", "compiler_rt"),
    *("c++-noexcept", "c++abi-noexcept"),
)
"""Those that a module without JavaScript of its own needs."""

START = "crt1_reactor.o"
"""Defines ``_initialize``, which the page calls first."""

_FILES = (START, *(f"lib{name}.a" for name in LIBRARIES))
REMEDY = " ".join(["embuilder build", *(Path(name).stem for name in _FILES)])

_PLACE = "sysroot/lib/wasm32-emscripten"
"""Below a cache of Emscripten's."""


def folder() -> Path | None:
    """Return the folder that has all of them; None: none has."""
    places = (place / _PLACE for place in _caches())
    return next((each for each in places if _is_complete(each)), None)


def _is_complete(place: Path) -> bool:
    return all((place / name).is_file() for name in _FILES)


def _caches() -> Iterator[Path]:
    """Yield where Emscripten may keep what it has compiled, what costs most at last."""
    program = emscripten.program()
    if program is None:
        return
    if named := os.environ.get("EM_CACHE"):
        yield Path(named)
        return
    yield Path(program).resolve().parent / "cache"
    yield from _configured(program)


@cache
def _configured(program: str) -> tuple[Path, ...]:
    """Return what the configuration of Emscripten says, a program by itself."""
    try:
        said = programs.says(str(Path(program).with_name("em-config")), "CACHE")
    except OSError:
        return ()
    return (Path(said),) if said else ()
