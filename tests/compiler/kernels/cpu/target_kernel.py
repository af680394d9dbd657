"""Building one kernel for one target, to be called with arrays and numbers."""

from collections.abc import Callable

import numpy as np
import tvm
from tvm import tirx
from tvm.target import Target

from mlcx.compiler.passes.cpu_bfloat16 import LowerBfloat16
from mlcx.compiler.targets import target_of

HOST = target_of("cpu")
"""This machine, with all that its CPU can do."""
NARROW = Target("llvm")
"""The least that the architecture promises: vectors of four floats on x86."""


def build_for(target: Target, kernel: tirx.PrimFunc) -> Callable[..., None]:
    """Return a function of the kernel's arguments; it writes into the arrays."""
    name = str(kernel.attrs["global_symbol"])
    module = LowerBfloat16()(tvm.IRModule({name: kernel}))
    # As in a build.
    with tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}):
        function = tvm.compile(module, target=target)[name]

    def call(*arguments: np.ndarray | float) -> None:
        tensors = [
            tvm.runtime.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments
        ]
        function(*tensors)
        for argument, tensor in zip(arguments, tensors, strict=True):
            if isinstance(argument, np.ndarray):
                argument[...] = tensor.numpy()

    return call
