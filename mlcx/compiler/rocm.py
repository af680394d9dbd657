"""What TVM asks for while it makes kernels for AMD's GPUs: bitcode, and a linker.

TVM's own answers look for an installed ROCm; of that only the bitcode is needed.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import tvm
from tvm.support import rocm as own
from tvm.target import Target
from tvm_ffi import register_global_func

from mlcx.compiler.quiet import without
from mlcx.compiler.targets import TARGETS
from mlcx.errors import UsageError
from mlcx.toolchain import zig
from mlcx.toolchain.rocm import bitcode

__all__ = ["prepare", "quiet"]

_KIND = "rocm"

_THREADS = 256
"""Of a group; TVM compiles kernels for so many where no ROCm knows of more."""
_LIMITS = ("max_num_threads", "max_threads_per_block")
"""What a target says of them."""
_IDLE = (
    "Warning: Cannot get maximum number of threads for AMD codegen",
    "Warning: Unable to detect ROCm version, assuming >= 3.5",
)
"""What TVM says where no ROCm is, the one for each kernel; `prepare` sees to both."""


def quiet(device: str) -> AbstractContextManager[None]:
    """Leave out TVM's warnings that there is no ROCm, if ``device`` would have it."""
    return without(_IDLE) if _kind(device) == _KIND else nullcontext()


def _kind(device: str) -> object:
    """Return the kind of a preset or a described target; None: it is a tag of TVM."""
    if device in TARGETS:
        return (TARGETS[device] or {}).get("kind")
    try:
        described = json.loads(device)
    except ValueError:
        return None
    return described.get("kind") if isinstance(described, dict) else None


def prepare(target: Target) -> None:
    """Answer TVM from now on, if ``target`` is a GPU of AMD.

    Raises:
        BuildError: What its kernels are linked with is not installed.
        UsageError: Its groups would have more threads than TVM compiles for.
    """
    if target.kind.name != _KIND:
        return
    _check_threads(target)
    files = [str(file) for file in bitcode(str(target.attrs["mcpu"]))]
    # TVM's answers are given by importing them: these come after.
    assert own is not None
    _answer("tvm_callback_rocm_bitcode_path", lambda *_: files)
    _answer("tvm_callback_rocm_link", _link)


def _check_threads(target: Target) -> None:
    """Refuse groups that the GPU would not start."""
    if tvm.get_global_func(f"device_api.{_KIND}", allow_missing=True) is not None:
        return
    for name in _LIMITS:
        if (found := int(target.attrs[name])) > _THREADS:
            raise UsageError(
                f"device {_KIND}: {name} is {found}, expected {_THREADS} or less: "
                "TVM without ROCm compiles kernels for no more; leave it out"
            )


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
