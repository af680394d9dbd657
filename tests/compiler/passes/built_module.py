"""Building what a pass adds to an empty module, and calling it as an engine does."""

from collections.abc import Callable

import numpy as np
import tvm
from tvm import relax
from tvm.ir.transform import Pass


def planned(attach: Pass) -> tvm.IRModule:
    """Return the module after memory planning, its results being planned too."""
    mod = attach(tvm.IRModule())
    for name, function in mod.functions_items():
        if isinstance(function, relax.Function):
            mod[name] = function.with_attr(
                "relax.memory_plan_dynamic_func_output", True
            )
    lowering = [
        relax.transform.LegalizeOps(),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
        relax.transform.RemovePurityChecking(),
        relax.transform.CallTIRRewrite(),
        relax.transform.StaticPlanBlockMemory(),
    ]
    return tvm.ir.transform.Sequential(lowering)(mod)


def lookup(attach: Pass) -> Callable[[str], Callable]:
    """Return what finds a function by name in the virtual machine's module."""
    lowering = [
        relax.transform.LowerAllocTensor(),
        relax.transform.KillAfterLastUse(),
        relax.transform.LowerRuntimeBuiltin(),
        relax.transform.ComputePrimValue(),
        relax.transform.VMShapeLower(),
        relax.transform.AttachGlobalSymbol(),
    ]
    mod = tvm.ir.transform.Sequential(lowering)(planned(attach))
    executable = relax.build(mod, target="llvm", relax_pipeline=None)
    machine = relax.VirtualMachine(executable, tvm.cpu())
    return lambda name: machine.module.get_function(name, query_imports=True)


def dynamic_allocations(mod: tvm.IRModule, name: str) -> list[relax.Call]:
    """Return the allocations of a planned function whose size is not known."""
    found = []

    def visit(call: object) -> None:
        if not isinstance(call, relax.Call) or not isinstance(call.op, tvm.ir.Op):
            return
        dynamic = call.op.name == "relax.memory.alloc_storage" and not isinstance(
            call.args[0].values[0], tvm.tirx.IntImm
        )
        if dynamic or call.op.name == "relax.builtin.alloc_tensor":
            found.append(call)

    relax.analysis.post_order_visit(mod[name].body, visit)
    return found


def tensors(*arrays: np.ndarray) -> list[tvm.runtime.Tensor]:
    """Return ``arrays`` on the device."""
    return [tvm.runtime.tensor(array) for array in arrays]
