"""What TVM asks for while it makes kernels for AMD's GPUs: bitcode, and a linker.

TVM's own answers look for an installed ROCm; of that only the bitcode is needed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tvm.support import rocm as own
from tvm.target import Target
from tvm_ffi import register_global_func

from mlcx.toolchain import zig
from mlcx.toolchain.rocm import bitcode

__all__ = ["prepare"]

_KIND = "rocm"


def prepare(target: Target) -> None:
    """Answer TVM from now on, if ``target`` is a GPU of AMD.

    Raises:
        BuildError: What its kernels are linked with is not installed.
    """
    if target.kind.name != _KIND:
        return
    files = [str(file) for file in bitcode(str(target.attrs["mcpu"]))]
    # TVM's answers are given by importing them: these come after.
    assert own is not None
    _answer("tvm_callback_rocm_bitcode_path", lambda *_: files)
    _answer("tvm_callback_rocm_link", _link)


def _answer(name: str, function: object) -> None:
    register_global_func(name, function, override=True)


def _link(kernels: bytes) -> bytearray:
    """Return the code object of AMD's loader, made of a relocatable one."""
    with tempfile.TemporaryDirectory(prefix="mlcx-rocm-") as name:
        folder = Path(name)
        (folder / "kernels.o").write_bytes(bytes(kernels))
        words = ["ld.lld", "--no-undefined", "-shared", "kernels.o", "-o", "kernels.co"]
        zig.run(words, folder)
        return bytearray((folder / "kernels.co").read_bytes())
