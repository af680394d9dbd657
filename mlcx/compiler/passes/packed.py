"""Calls of what a runtime has by name, which models use for what a pass puts in."""

from __future__ import annotations

from tvm import ir, relax

__all__ = ["calls"]

_CALL_PURE_PACKED = ir.Op.get("relax.call_pure_packed")


def calls(call: relax.Call, name: str) -> bool:
    """Say whether ``call`` is one of the packed function ``name``."""
    if call.op != _CALL_PURE_PACKED or not isinstance(call.args[0], relax.ExternFunc):
        return False
    return bool(call.args[0].global_symbol == name)
