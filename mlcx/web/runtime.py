"""Make TVM's web runtime: one object, that is linked into every library for the web."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.errors import BuildError
from mlcx.toolchain import emscripten, sysroot, zig
from mlcx.web.pieces import source_tree

__all__ = ["make"]

_OPTIONS = ("-O3", "-Wno-ignored-attributes")
"""For compiling; TVM's marks for symbols are ignored, and reported, in many places."""

_LANGUAGE = ("-std=c++17", "-I.", "-Iinclude", "-I3rdparty/tvm-ffi/include")


def make(output: Path, bitcode: Sequence[Path] = ()) -> None:
    """Write the runtime to ``output``, atomically; takes minutes.

    Args:
        output: An object of WebAssembly, to be linked with others by wasm-ld.
        bitcode: To make it of, complete; none: of the sources in TVM's wheel.

    Raises:
        BuildError: A tool is missing or failed.
    """
    libraries = sysroot.folder()
    if libraries is None:
        raise BuildError(f"emscripten's sysroot is not complete: {sysroot.REMEDY}")
    with tempfile.TemporaryDirectory(prefix="mlcx-web-") as name:
        folder = Path(name)
        objects = _of_bitcode(bitcode, folder) if bitcode else _of_sources(folder)
        words: list[str | Path] = [
            "wasm-ld",
            "-r",
            "-o",
            "runtime.o",
            *objects,
            libraries / sysroot.START,
        ]
        words += [f"-L{libraries}", *(f"-l{library}" for library in sysroot.LIBRARIES)]
        zig.run(words, folder)
        with replacing(output) as temporary:
            temporary.write_bytes((folder / "runtime.o").read_bytes())


def _of_sources(folder: Path) -> list[Path]:
    tree = folder / "tree"
    return [_compile([*_LANGUAGE, "-c", source], tree) for source in source_tree(tree)]


def _of_bitcode(bitcode: Sequence[Path], folder: Path) -> list[Path]:
    return [_compile(["-c", file.absolute()], folder) for file in bitcode]


def _compile(words: list[str | Path], folder: Path) -> Path:
    # The same name, and so the same bytes, wherever the folder is.
    output = Path(words[-1]).with_suffix(".o").name
    emscripten.run([*_OPTIONS, *words, "-o", output], folder)
    return folder / output
