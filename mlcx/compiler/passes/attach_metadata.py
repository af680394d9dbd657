"""Add ``_metadata()``: with memory as planned, and calls to the runtime as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import tvm
from tvm import ir, relax, tirx

from mlcx.compiler.passes.scratch import scratch_bytes
from mlcx.stamp import KEY

__all__ = ["AttachMetadata", "memory_usage", "runtime_calls"]


def AttachMetadata(metadata: Mapping[str, Any]) -> tvm.transform.Pass:  # noqa: N802
    """Add the function; runs right after static memory planning.

    Args:
        metadata: All but what is found out here, its stamp first.
    """

    @tvm.transform.module_pass(opt_level=0, name="AttachMetadata")
    def attach(mod: tvm.IRModule, _: tvm.transform.PassContext) -> tvm.IRModule:
        stamp = {**metadata[KEY], "abi": runtime_calls(mod)}
        found = {KEY: stamp, "memory_usage": memory_usage(mod)}
        text = json.dumps({**metadata, **found})
        builder = relax.BlockBuilder(mod)
        with builder.function("_metadata", params=[]):
            builder.emit_func_output(ir.StringImm(text))
        return builder.finalize()

    return attach


def memory_usage(mod: tvm.IRModule) -> dict[str, int]:
    """Return, per Relax function, the bytes of temporaries of known size.

    To those that are planned comes what the kernel that takes most has for itself.
    """
    return {
        name.name_hint: sum(_allocations(function)) + scratch_bytes(mod, function)
        for name, function in mod.functions_items()
        if isinstance(function, relax.Function)
    }


def runtime_calls(mod: tvm.IRModule) -> dict[str, dict[str, int]]:
    """Return, per function of the runtime that is called, what it is given.

    ``arguments`` is how many; where the first is a shape, ``sizes`` is its length. Of
    calls that differ the last one counts, by name of function.
    """
    found: dict[str, dict[str, int]] = {}

    def visit(expr: Any) -> None:
        if isinstance(expr, relax.Call) and isinstance(expr.op, relax.ExternFunc):
            given = {"arguments": len(expr.args)}
            if expr.args and isinstance(expr.args[0], relax.ShapeExpr):
                given["sizes"] = len(expr.args[0].values)
            found[str(expr.op.global_symbol)] = given

    for _, function in sorted(mod.functions_items(), key=lambda item: str(item[0])):
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    return dict(sorted(found.items()))


def _allocations(function: relax.Function) -> Iterator[int]:
    for block in function.body.blocks:
        for binding in block.bindings:
            value = binding.value
            if not isinstance(value, relax.Call) or not isinstance(value.op, ir.Op):
                continue
            if value.op.name == "relax.memory.alloc_storage":
                yield _known(value.args[0].values)
            elif value.op.name == "relax.builtin.alloc_tensor":
                itemsize = (tvm.DataType(value.args[1].value).bits + 7) // 8
                yield itemsize * _known(value.args[0].values)


def _known(sizes: Any) -> int:
    """Return the product of ``sizes``, 0 when one of them is symbolic."""
    whole = [int(size) for size in sizes if isinstance(size, tirx.IntImm | int)]
    return prod(whole) if len(whole) == len(sizes) else 0
