"""The linkers and the archiver of ziglang, which know every platform's formats.

It is LLVM's LLD, in one package from PyPI, for ELF, COFF and WebAssembly, and a linker
of its own for Mach-O. Its C library is never used: building one takes up to minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlcx.errors import BuildError
from mlcx.toolchain import programs
from mlcx.toolchain.distributions import folder_of, version_of

__all__ = ["program", "run", "version"]


def program() -> Path | None:
    """Return the path of zig; None: the package is not installed."""
    folder = folder_of("ziglang")
    names = ("zig", "zig.exe")
    paths = (folder / name for name in names) if folder else ()
    return next((path for path in paths if path.is_file()), None)


def version() -> str | None:
    """Return its version; None: the package is not installed."""
    return version_of("ziglang")


def run(command: Sequence[str | Path], folder: Path) -> None:
    """Run a command of zig, such as ``ld.lld …``, in ``folder``.

    Raises:
        BuildError: It failed, or zig is not installed.
    """
    found = program()
    if found is None:
        raise BuildError("zig is not installed: pip install 'mlcx[cross]'")
    # Else it would write into the home directory.
    cache = str(folder / "zig-cache")
    caches = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    words = [str(found), *map(str, command)]
    programs.run(words, folder, "linking", caches)
