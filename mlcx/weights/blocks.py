"""Weights a block at a time: cutting parameters into blocks of rows, converting those.

A block is converted on its own: nothing crosses rows, neither casting nor quantizing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlcx.errors import InputError
from mlcx.quant.packing import FittedPacker, Packer
from mlcx.quant.plain import Array, all_finite, cast, dtype_named
from mlcx.quant.scratch import Scratch
from mlcx.weights.mapping import Mapped, Parameter, Run
from mlcx.weights.reader import Reader
from mlcx.weights.shards import Record, encode
from mlcx.weights.tensor import Tensor

__all__ = ["Block", "Converter", "blocks", "stored"]

_ELEMENTS = 1 << 20
"""About as many go into a block."""


@dataclass(frozen=True)
class Block:
    """Some rows of one source of a parameter, or of all that are beside each other."""

    mapped: Mapped
    runs: tuple[Run, ...]
    """Elements of each; of a transposed tensor, they count column by column."""
    rows: int
    is_first: bool = False
    """Of its parameter."""

    @property
    def tensor(self) -> Tensor:
        """The source, or the first of several."""
        return self.runs[0].tensor

    @property
    def nbytes(self) -> int:
        """Bytes in the checkpoint."""
        return sum(run.size * run.tensor.element.itemsize for run in self.runs)

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
    cut = _piled if mapped.recipe.join.by == "rows" else _beside
    for number, (runs, rows) in enumerate(cut(mapped)):
        yield Block(mapped, runs, rows, is_first=number == 0)


def _piled(mapped: Mapped) -> Iterator[tuple[tuple[Run, ...], int]]:
    """Cut tensors that are above each other; yield runs and their rows."""
    parameter = mapped.parameter
    whole = mapped.recipe.transposed or parameter.packing is not None
    columns = parameter.shape[-1] if whole else 1
    multiple = mapped.packer.multiple if mapped.packer else 1
    most = max(1, _ELEMENTS // columns // multiple) * multiple
    for run in mapped.runs():
        rows = run.size // columns
        for row in range(0, rows, most):
            some = min(most, rows - row)
            first = run.first + row * columns
            yield (Run(run.tensor, first, some * columns),), some


def _beside(mapped: Mapped) -> Iterator[tuple[tuple[Run, ...], int]]:
    """Cut tensors that are beside each other, or equal; yield runs and their rows."""
    rows, *_ = mapped.sources[0].shape
    widths = [tensor.size // rows for tensor in mapped.sources]
    most = max(1, _ELEMENTS // sum(widths))
    for row in range(0, rows, most):
        some = min(most, rows - row)
        yield (
            tuple(
                Run(tensor, row * width, some * width)
                for tensor, width in zip(mapped.sources, widths, strict=True)
            ),
            some,
        )


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

    def announce(self, block: Block) -> None:
        """Say that ``block`` will be converted soon."""
        if not block.mapped.recipe.transposed:
            for run in block.runs:
                self._reader.announce(run.tensor, run.first, run.size)

    def measure(self, block: Block) -> float:
        """Return what the block contributes to how its parameter is packed."""
        scratch, packer = self._own.scratch, block.mapped.packer
        assert isinstance(packer, FittedPacker)
        values = self._valued(self._read(block, scratch), block)
        return packer.measure(cast(values, dtype_named(block.parameter.dtype), scratch))

    def convert(self, block: Block, packer: Packer | None) -> tuple[Array, ...]:
        """Return the block's part of each of the parameter's records, as stored.

        Args:
            block: Of a parameter.
            packer: Packs its rows; None: they are stored as they are.

        Raises:
            InputError: A weight is not finite, or not when cast to the model's dtype or
                to what it is stored as.
        """
        scratch = self._own.scratch
        source = self._read(block, scratch)
        values = self._valued(source, block)
        dtype = block.parameter.dtype
        exact = self._exact or block.mapped.recipe.exact
        direct = values.itemsize == 2 and packer is None and not exact
        if dtype == "float32" and direct:
            # By way of float32 it would be the same: every float16 is one, and in
            # bfloat16's range.
            dtype = "bfloat16"
        weight = cast(values, dtype_named(dtype), scratch)
        if packer is not None:
            packed = packer.pack(weight, scratch)
            finite = packer.is_finite(packed)
            rows, *others = (_encoded(each, exact) for each in packed.values())
            if isinstance(packer, FittedPacker) and not block.is_first:
                others = [each[:0] for each in others]
            parts: tuple[Array, ...] = (rows, *others)
        else:
            finite = all_finite(weight)
            part = _encoded(weight, exact)
            parts = (part.copy() if part is weight else part,)
        if not finite:
            raise _not_finite(block, source, weight)
        return parts

    def _valued(self, source: Array, block: Block) -> Array:
        """Return ``source`` with the recipe's function applied."""
        value = block.mapped.recipe.value
        if value is None:
            return source
        if self._exact or source.dtype == dtype_named("bfloat16"):
            # Of a sum with 1, a narrower dtype would keep only the first few bits.
            source = cast(source, dtype_named("float32"), self._own.scratch)
        with np.errstate(all="ignore"):
            return value(source)

    def _read(self, block: Block, scratch: Scratch) -> Array:
        """Return the block as the checkpoint has it, rows being the parameter's."""
        join = block.mapped.recipe.join
        if join.by == "rows":
            return self._read_run(block, block.runs[0], scratch)
        sources = [self._read_run(block, run, Scratch()) for run in block.runs]
        if join.by == "same":
            return _the_same(block, sources)
        if join.convert is not None:
            sources = [join.convert(source) for source in sources]
        return np.concatenate(sources, axis=1)

    def _read_run(self, block: Block, run: Run, scratch: Scratch) -> Array:
        shape, element = (block.rows, run.size // block.rows), run.tensor.element
        source = scratch.take("source", shape, element)
        if block.mapped.recipe.transposed:
            strip = scratch.take("strip", shape[::-1], element)
            self._reader.read_columns(run.tensor, run.first // shape[1], strip)
            np.copyto(source, strip.T)
        else:
            self._reader.read(run.tensor, run.first, source)
        return source


def _encoded(part: Array, exact: bool) -> Array:
    return part if exact else encode(part)


def _the_same(block: Block, sources: Sequence[Array]) -> Array:
    """Return the first of ``sources``, which must be equal."""
    for run, source in zip(block.runs, sources, strict=True):
        if source.tobytes() != sources[0].tobytes():
            message = f"expected {run.tensor.name} to equal {block.tensor.name}, as "
            message += f"both become {block.parameter.name}, found other values"
            raise InputError.in_file(run.tensor.file, message)
    return sources[0]


def _not_finite(block: Block, source: Array, weight: Array) -> InputError:
    """Say where infinity or NaN comes from: ``source``, its cast, or packing that."""
    tensor, dtype = block.tensor, block.parameter.dtype
    if all_finite(source):
        remedy = "a quantization with a model dtype of more range"
        if all_finite(weight):
            dtype, remedy = stored(block.parameter)[0].dtype, "another quantization"
        largest = float(abs(source).max())
        message = f"holds {largest:g}, which is too large for {dtype}; choose {remedy}"
    else:
        message = "holds NaN or infinity: the checkpoint is damaged; download it again"
    return InputError.in_file(tensor.file, f"tensor {tensor.name} {message}")
