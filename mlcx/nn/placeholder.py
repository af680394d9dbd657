"""Operators that a model asks for by name, since it does not know the device.

A pass of the compiler puts the device's kernel in the place of each; none reaches a
library.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import ir, relax
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn.core import wrap_nested

__all__ = ["placeholder"]


def placeholder(
    function: str,
    arguments: Sequence[nn.Tensor],
    out: relax.TensorType | list[relax.TensorType],
    name: str,
    options: str | None = None,
) -> nn.Tensor:
    """Return what ``function`` makes of ``arguments``: an ``out``, or a tuple of them.

    ``name`` is the result's. ``options``, for the pass alone, follow the arguments.
    """
    expressions: list[relax.Expr] = [each._expr for each in arguments]
    if options is not None:
        expressions.append(ir.StringImm(options))
    return wrap_nested(relax.call_dps_packed(function, expressions, out), name)
