"""The object with what a library imports: its executable and the kernels of GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tvm import runtime
from tvm.runtime import _ffi_api
from tvm_ffi import get_global_func

__all__ = ["Change", "Packer", "only", "packer"]

Packer = Callable[[runtime.Module, bool, str, str], str]
"""Makes the object with a library's imports, and returns its path: of the library, from
whether it is a system library, its prefix and a folder."""

Change = Callable[[runtime.Module, bytes], bytes]
"""From a library and the block of all that it imports to the block to pack."""

_LONGEST = 80
"""Characters of a prefix in an object's name, which in a tar has a hundred in all."""


def packer(change: Change | None = None) -> Packer:
    """Return what packs imports, changed by ``change``, whatever the prefix's length.

    TVM's own gives the object the whole prefix as its name.
    """

    def pack(module: runtime.Module, is_system: bool, prefix: str, folder: str) -> str:
        block = _ffi_api.ModulePackImportsToTensor(module).numpy().tobytes()
        if change is not None:
            block = change(module, block)
        host = only(module, "llvm").get_function("_get_target_string")()
        make = get_global_func("codegen.codegen_blob")
        path = Path(folder) / f"{prefix[:_LONGEST]}devc.o"
        make(block, is_system, host, prefix).write_to_file(str(path))
        return str(path)

    return pack


def only(root: runtime.Module, kind: str) -> runtime.Module:
    """Return the one module of ``kind`` in the tree of ``root``."""
    (found,) = (each for each in _tree(root) if each.kind == kind)
    return found


def _tree(root: runtime.Module) -> Iterator[runtime.Module]:
    yield root
    for each in root.imports:
        yield from _tree(each)
