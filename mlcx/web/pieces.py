"""What TVM's web runtime is compiled of: sources of TVM's wheel, or ready bitcode."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlcx.errors import BuildError, UsageError
from mlcx.toolchain.distributions import folder_of

__all__ = ["HEADERS", "NAMES", "check_bitcode", "given_bitcode", "source_tree"]

NAMES = ("wasm_runtime", "webgpu_runtime", "tvmjs_support")
"""Of the pieces, without suffix."""

HEADERS = Path(__file__).parent / "headers"
"""The headers that the wheels lack, laid out as in TVM's repository."""

_OF_MLC = "mlc_wasm_runtime"
_SUFFIX = ".bc"
_BUILT = "web/dist/wasm"
_FOLDERS = {
    "MLC_LLM_SOURCE_DIR": (_BUILT, f"3rdparty/tvm/{_BUILT}"),
    "TVM_HOME": (_BUILT,),
}
"""Variable of the environment to where bitcode is below the folder that it names."""


def given_bitcode(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the bitcode that ``environ`` leads to; empty: there is none.

    That is all of TVM's from one folder, and MLC's own where there is some. Folders in
    which nothing was built are passed over.

    Raises:
        UsageError: A folder has some of TVM's, but not all.
    """
    found: dict[str, Path] = {}
    for variable, folder in _folders(environ):
        here = {name: folder / f"{name}{_SUFFIX}" for name in (*NAMES, _OF_MLC)}
        there = {name: path for name, path in here.items() if path.is_file()}
        lacking = [here[name].name for name in NAMES if name not in there]
        if lacking and len(lacking) < len(NAMES):
            listed = ", ".join(lacking)
            message = f"{folder} lacks {listed}: build it, or unset {variable}"
            raise UsageError(message)
        found = {**there, **found}
    complete = NAMES[0] in found
    return tuple(
        found[name] for name in (*NAMES, _OF_MLC) if name in found and complete
    )


def _folders(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for variable, places in _FOLDERS.items():
        if environ.get(variable):
            for place in places:
                yield variable, Path(environ[variable]).absolute() / place


def check_bitcode(files: Sequence[Path]) -> None:
    """Refuse bitcode that is no complete runtime.

    Raises:
        UsageError: A file is missing, in ``files`` or on the disk.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file}: no such file")
    named = {file.stem for file in files}
    lacking = ", ".join(f"{name}{_SUFFIX}" for name in NAMES if name not in named)
    if files and lacking:
        raise UsageError(f"bitcode: expected all of TVM's or none, found no {lacking}")


def source_tree(folder: Path) -> tuple[Path, ...]:
    """Lay out in ``folder`` what the runtime is compiled of, as in TVM's repository.

    Returns:
        The files to compile, relative to ``folder``.

    Raises:
        BuildError: TVM is not installed, or has no such sources.
    """
    tvm, ffi = folder_of("tvm"), folder_of("tvm_ffi")
    sources = tuple(Path("web", "emcc", f"{name}.cc") for name in NAMES)
    if (
        tvm is None
        or ffi is None
        or not all((tvm / each).is_file() for each in sources)
    ):
        raise BuildError(f"TVM in {tvm} has no sources of its web runtime")
    for origin, place in ((tvm, folder), (ffi, folder / "3rdparty" / "tvm-ffi")):
        for name in ("include", "src"):
            shutil.copytree(origin / name, place / name)
    shutil.copytree(tvm / "web", folder / "web")
    shutil.copytree(HEADERS, folder, dirs_exist_ok=True)
    return sources
