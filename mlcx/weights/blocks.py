"""Weights a block at a time: cutting parameters into blocks of rows, converting those.

A block is converted on its own: nothing crosses rows, neither casting nor quantizing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlcx.errors import InputError
from mlcx.quant.plain import Array, all_finite, cast, dtype_named
from mlcx.quant.scratch import Scratch
from mlcx.recipe import Recipe
from mlcx.weights.mapping import Mapped, Parameter
from mlcx.weights.safetensors import Reader, Tensor
from mlcx.weights.shards import Record, encode

__all__ = ["Block", "Converter", "blocks", "stored"]

_ELEMENTS = 1 << 20
"""About as many go into a block."""


@dataclass(frozen=True)
class Block:
    """Some rows of one source of a parameter."""

    mapped: Mapped
    tensor: Tensor
    first: int
    """Number of the first element; of a transposed tensor, column by column."""
    rows: int
    columns: int

    @property
    def nbytes(self) -> int:
        """Bytes in the checkpoint."""
        return self.rows * self.columns * self.tensor.element.itemsize

    @property
    def parameter(self) -> Parameter:
        """What it becomes a part of."""
        return self.mapped.parameter


def stored(parameter: Parameter, exact_float32: bool = False) -> tuple[Record, ...]:
    """Return what ``parameter`` is stored as, in order."""
    parts = {parameter.name: (parameter.shape, parameter.dtype)}
    if parameter.packing is not None:
        parts = parameter.packing.parts(parameter.name, parameter.shape)
    return tuple(Record(name, *part, exact_float32) for name, part in parts.items())


def blocks(mapped: Mapped) -> Iterator[Block]:
    """Yield the blocks that make a parameter, in order."""
    parameter = mapped.parameter
    whole = mapped.recipe.transposed or parameter.packing is not None
    columns = parameter.shape[-1] if whole else 1
    most = max(1, _ELEMENTS // columns)
    for run in mapped.runs():
        rows = run.size // columns
        for row in range(0, rows, most):
            some = min(most, rows - row)
            first = run.first + row * columns
            yield Block(mapped, run.tensor, first, some, columns)


class _ThreadsOwn(threading.local):
    """What each thread has one of."""

    def __init__(self) -> None:
        self.scratch = Scratch()


class Converter:
    """Converts blocks, from any thread.

    Args:
        reader: Of the blocks' tensors.
        exact_float32: Store float32 as it is, not as bfloat16.
    """

    def __init__(self, reader: Reader, exact_float32: bool = False) -> None:
        self._reader = reader
        self._exact = exact_float32
        self._own = _ThreadsOwn()

    def convert(self, block: Block) -> tuple[Array, ...]:
        """Return the block's part of each of the parameter's records, as stored.

        Raises:
            InputError: A weight is not finite, or not when cast to the model's dtype.
        """
        scratch = self._own.scratch
        source = self._read(block, scratch)
        values = _valued(source, block.mapped.recipe, scratch)
        packing, dtype = block.parameter.packing, block.parameter.dtype
        direct = values.itemsize == 2 and packing is None and not self._exact
        if dtype == "float32" and direct:
            # By way of float32 it would be the same: every float16 is one, and in
            # bfloat16's range.
            dtype = "bfloat16"
        weight = cast(values, dtype_named(dtype), scratch)
        if packing is not None:
            packed = packing.pack(weight, scratch)
            finite = packing.is_finite(packed)
            parts = tuple(map(self._encode, packed.values()))
        else:
            finite = all_finite(weight)
            part = self._encode(weight)
            parts = (part.copy() if part is weight else part,)
        if not finite:
            raise _not_finite(block, source)
        return parts

    def _encode(self, part: Array) -> Array:
        return part if self._exact else encode(part)

    def _read(self, block: Block, scratch: Scratch) -> Array:
        """Return the block as the checkpoint has it, rows being the parameter's."""
        shape, element = (block.rows, block.columns), block.tensor.element
        source = scratch.take("source", shape, element)
        if block.mapped.recipe.transposed:
            strip = scratch.take("strip", shape[::-1], element)
            column = block.first // block.columns
            self._reader.read_columns(block.tensor, column, strip)
            np.copyto(source, strip.T)
        else:
            self._reader.read(block.tensor, block.first, source)
        return source


def _valued(source: Array, recipe: Recipe, scratch: Scratch) -> Array:
    """Return ``source`` with the recipe's function applied."""
    if recipe.value is None:
        return source
    if source.dtype == dtype_named("bfloat16"):
        # Of a sum with 1, bfloat16 would keep only the first few bits.
        source = cast(source, dtype_named("float32"), scratch)
    with np.errstate(all="ignore"):
        return recipe.value(source)


def _not_finite(block: Block, source: Array) -> InputError:
    tensor, dtype = block.tensor, block.parameter.dtype
    if all_finite(source):
        largest = float(abs(source).max())
        message = f"holds {largest:g}, which is too large for {dtype}; choose a "
        message += "quantization with a model dtype of more range"
    else:
        message = "holds NaN or infinity: the checkpoint is damaged"
    return InputError.in_file(tensor.file, f"tensor {tensor.name} {message}")
