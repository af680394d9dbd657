"""Building one kernel for any CPU, to be called with numpy arrays."""

from collections.abc import Callable

import numpy as np
import tvm
from tvm import relax, tirx


def build(kernel: tirx.PrimFunc) -> Callable[..., list[np.ndarray]]:
    """Return a function that takes all the kernel's arrays and returns them after."""
    mod = tvm.IRModule({"kernel": kernel.with_attr("global_symbol", "kernel")})
    machine = relax.VirtualMachine(relax.build(mod, target="llvm"), tvm.cpu())
    function = machine.module.get_function("kernel", query_imports=True)

    def call(*arrays: np.ndarray) -> list[np.ndarray]:
        tensors = [tvm.runtime.tensor(array) for array in arrays]
        function(*tensors)
        return [tensor.numpy() for tensor in tensors]

    return call
