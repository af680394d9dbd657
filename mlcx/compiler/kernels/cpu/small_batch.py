"""A few rows of activations times the weights: batched decoding.

The weights are read once from memory and once more from the cache for every
``BATCH`` rows of activations.
"""

from __future__ import annotations

from tvm.tirx.script import builder as T

from mlcx.compiler.kernels.cpu.activations import shuffle
from mlcx.compiler.kernels.cpu.gemv import plain_dot, quantized_dot, widened
from mlcx.compiler.kernels.cpu.operands import Operands
from mlcx.compiler.kernels.cpu.weights import GroupQuantized

__all__ = ["BATCH", "small_batch"]

BATCH = 4


def small_batch(operands: Operands) -> None:
    """Write all rows of out; meant for few of them."""
    blocks = (operands.rows + BATCH - 1) // BATCH
    quantized = isinstance(operands.format, GroupQuantized)
    x = (shuffle if quantized else widened)(operands, operands.rows)
    dot = quantized_dot if quantized else plain_dot
    with T.parallel(operands.n) as n, T.serial(blocks) as block:
        dot(operands, x, n, block * BATCH, BATCH)
