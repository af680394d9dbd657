"""Programs of others, run where nothing around them changes what they make.

Compilers and linkers read options, folders and times from variables: EMCC_CFLAGS,
CPATH, LIBRARY_PATH, LD_RUN_PATH, ZIG_LIB_DIR, NV_NVVM_VERSION, SOURCE_DATE_EPOCH and
many more. What these change, no signature would say. So a program gets what it takes to
start, where Emscripten is installed, and no other variable.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlcx.errors import BuildError

__all__ = ["bare", "run", "says"]

_KEPT = frozenset(
    (
        *("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "TMP", "TEMP"),
        *("SYSTEMROOT", "COMSPEC", "PATHEXT", "USERPROFILE"),  # of Windows
        *("EMSDK", "EMSDK_NODE", "EMSDK_PYTHON", "EM_CONFIG", "EM_CACHE"),
    )
)


def run(
    words: Sequence[str],
    folder: Path,
    doing: str,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run the command ``words`` in ``folder``.

    Args:
        words: A program and its arguments.
        folder: To run it in.
        doing: What that does, for messages: ``linking``.
        variables: What else it finds around it.

    Raises:
        BuildError: It failed.
    """
    done = _run(words, folder, variables or {})
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise BuildError(f"{doing} failed: {' '.join(words)}\n{said}")


def says(*words: str) -> str:
    """Return the first line that a command prints."""
    return _run(words, None, {}).stdout.partition("\n")[0].strip()


@contextmanager
def bare() -> Iterator[None]:
    """Leave around this process itself, which runs a compiler, what programs get."""
    others = {name: os.environ.pop(name) for name in {*os.environ} - _KEPT}
    try:
        yield
    finally:
        os.environ.update(others)


def _run(
    words: Sequence[str], folder: Path | None, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    return subprocess.run(
        words,
        cwd=folder,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
