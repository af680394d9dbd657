"""What stands for a kernel that a device cannot have: it says so when it is called."""

from __future__ import annotations

from tvm import tirx
from tvm.ir import StringImm

__all__ = ["refused"]


def refused(kernel: tirx.PrimFunc, reason: str) -> tirx.PrimFunc:
    """Return a function with the arguments of ``kernel`` that fails for ``reason``."""
    never = tirx.const(False, "bool")
    kind, message = StringImm("RuntimeError"), StringImm(reason)
    # TVM's wrapper takes the two for each other.
    failure = tirx.AssertStmt(never, kind, [message])
    return kernel.with_body(failure)
