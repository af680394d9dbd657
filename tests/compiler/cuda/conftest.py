"""Small modules with kernels for GPUs, as the compiler hands them to the export."""

from collections.abc import Callable
from typing import Any

import pytest
import tvm
from tvm import relax
from tvm.relax.frontend import nn
from tvm.s_tir import dlight
from tvm.script import ir as I
from tvm.script import relax as R
from tvm.target import Target

from mlcx.compiler.cuda.archs import scheduling_target
from mlcx.compiler.cuda.imports import source_only
from mlcx.compiler.intrinsics import load_intrinsics

Build = Callable[[tvm.IRModule, Target], relax.VMExecutable]


@I.ir_module
class Doubling:
    """One kernel."""

    @R.function
    def twice(x: R.Tensor(("n",), "float32")) -> R.Tensor(("n",), "float32"):
        with R.dataflow():
            y = R.add(x, x)
            R.output(y)
        return y


class Layer(nn.Module):
    """A norm and a multiplication, which tensor cores do."""

    def __init__(self) -> None:
        self.norm = nn.RMSNorm(256, -1, 1e-5, bias=False)
        self.up = nn.Linear(256, 512, bias=False)

    def forward(self, x: nn.Tensor) -> Any:
        return self.up(self.norm(x))


@pytest.fixture(scope="session")
def doubling() -> tvm.IRModule:
    """A module with one kernel."""
    return Doubling


@pytest.fixture(scope="session")
def layer() -> tvm.IRModule:
    """The layer in half precision, for any number of rows."""
    made = Layer()
    made.to("float16")
    rows = nn.spec.Tensor([1, "n", 256], "float16")
    exported, _ = made.export_tvm({"forward": {"x": rows}})
    return exported


@pytest.fixture(scope="session")
def build() -> Build:
    """Schedule a module for a target and generate its code."""

    def built(module: tvm.IRModule, target: Target) -> relax.VMExecutable:
        scheduling = scheduling_target(target)
        gpu = dlight.gpu
        rules: list[Any] = [gpu.GEMV(), gpu.Reduction(), gpu.Fallback()]
        if module is not Doubling:
            load_intrinsics(scheduling)
            rules.insert(0, gpu.Matmul())
        passes = (relax.transform.LegalizeOps(), dlight.ApplyDefaultSchedule(*rules))
        with scheduling, source_only(), tvm.transform.PassContext(opt_level=3):
            module = tvm.transform.Sequential(passes)(module)
            return relax.build(module, target=scheduling)

    return built


@pytest.fixture(scope="session")
def cuda() -> Callable[[str], Target]:
    """Return a target for architectures."""
    limits = {"max_threads_per_block": 1024, "max_shared_memory_per_block": 49152}
    host = {"kind": "llvm", "mtriple": "x86_64-linux-gnu"}

    def target(arch: str) -> Target:
        return Target({"kind": "cuda", "arch": arch, **limits}, host=host)

    return target
