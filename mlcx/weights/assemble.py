"""Converted blocks in the order in which their bytes lie in the shards.

Blocks are rows of a weight. Stored by rows, one is a piece of each of its records; in a
transposed record it is a strip of columns, and strips are put side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mlcx.quant.packing import Given
from mlcx.quant.plain import Array
from mlcx.weights.mapping import Parameter
from mlcx.weights.shards import Record

__all__ = ["assemble"]

_BAND_BYTES = 1 << 20
"""About as much of a transposed record is put together at a time."""


def assemble(
    parameter: Parameter,
    records: Sequence[Record],
    converted: Iterable[Sequence[Array]],
) -> Iterator[tuple[Record, Array]]:
    """Yield what to append to which record of ``parameter``.

    Args:
        parameter: Tells how it is packed.
        records: What it is stored as.
        converted: Of each block, in order, the part of each record. Held in memory are
            all records of a transposed parameter, of others all but the first.
    """
    packing = parameter.packing
    assert not isinstance(packing, Given), "its parts are parameters"
    if packing is not None and packing.transposed:
        return _by_columns(records, converted)
    return _by_rows(records, converted)


def _by_rows(
    records: Sequence[Record], converted: Iterable[Sequence[Array]]
) -> Iterator[tuple[Record, Array]]:
    later: list[Sequence[Array]] = []
    for parts in converted:
        yield records[0], parts[0]
        later.append(parts[1:])
    for record, pieces in zip(records[1:], zip(*later, strict=True), strict=True):
        for piece in pieces:
            yield record, piece


def _by_columns(
    records: Sequence[Record], converted: Iterable[Sequence[Array]]
) -> Iterator[tuple[Record, Array]]:
    for record, strips in zip(records, zip(*converted, strict=True), strict=True):
        height = len(strips[0])
        band = max(1, _BAND_BYTES * height // record.nbytes)
        for row in range(0, height, band):
            pieces = [strip[row : row + band] for strip in strips]
            yield record, np.concatenate(pieces, axis=1)
