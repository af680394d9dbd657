"""How converted weights are cut into files, and the index that describes them.

The layout follows from names, shapes and dtypes alone, so it is decided before any
weight is read. Layout and index text equal those of TVM's ``dump_tensor_cache``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mlcx.quant.plain import Array, dtype_named

__all__ = ["SHARD_BYTES", "Record", "Shard", "encode", "index_text", "lay_out"]

SHARD_BYTES = 32 << 20
"""A shard that several tensors share stays below this size."""


@dataclass(frozen=True)
class Record:
    """One stored tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """In memory."""
    exact: bool = False
    """Whether float32 is stored as it is, not as bfloat16."""

    @property
    def halved(self) -> bool:
        """Whether it is float32 that is stored as bfloat16."""
        return self.dtype == "float32" and not self.exact

    @property
    def memory_bytes(self) -> int:
        """Bytes in memory."""
        return math.prod(self.shape) * dtype_named(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes in its shard."""
        return self.memory_bytes // (2 if self.halved else 1)


@dataclass(frozen=True)
class Shard:
    """One file: its records lie one after the other, without gaps."""

    file: str
    records: tuple[Record, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return sum(record.nbytes for record in self.records)


def lay_out(records: Iterable[Record], limit: int = SHARD_BYTES) -> tuple[Shard, ...]:
    """Distribute ``records``, in the order of conversion, over shards.

    A record that would fill the pending shard up to ``limit`` closes it; but one that
    takes half of ``limit`` gets a shard of its own, and the pending one stays open.
    """
    shards: list[list[Record]] = []
    pending: list[Record] = []
    size = 0
    for record in records:
        if size + record.nbytes >= limit:
            if 2 * record.nbytes >= limit:
                shards.append([record])
                continue
            shards.append(pending)
            pending, size = [], 0
        pending.append(record)
        size += record.nbytes
    if pending:
        shards.append(pending)
    return tuple(
        Shard(f"params_shard_{number}.bin", tuple(each))
        for number, each in enumerate(shards)
    )


def index_text(
    shards: Sequence[Shard],
    md5s: Sequence[str],
    source_elements: int,
    *,
    as_stored: bool = False,
) -> str:
    """Return the text of ``tensor-cache.json``.

    Args:
        shards: All of them, in order.
        md5s: The md5 of each, in hexadecimal.
        source_elements: What the bits per parameter refer to.
        as_stored: Describe the stored bfloat16, not the float32 it stands for; that is
            ``tensor-cache-b16.json``.
    """
    records = [record for shard in shards for record in shard.records]
    total = sum(record.memory_bytes for record in records)
    index = {
        "metadata": {
            "ParamSize": len(records),
            "ParamBytes": float(total),
            "BitsPerParam": total * 8.0 / source_elements,
        },
        "records": [
            {
                "dataPath": shard.file,
                "format": "raw-shard",
                "nbytes": shard.nbytes,
                "records": _entries(shard, as_stored),
                "md5sum": md5,
            }
            for shard, md5 in zip(shards, md5s, strict=True)
        ],
    }
    return json.dumps(index, indent=4)


def _entries(shard: Shard, as_stored: bool) -> list[dict[str, object]]:
    entries = []
    offset = 0
    for record in shard.records:
        halved = as_stored and record.halved
        raw = halved or (record.dtype == "float32" and record.exact)
        entry: dict[str, object] = {
            "name": record.name,
            "shape": list(record.shape),
            "dtype": "bfloat16" if halved else record.dtype,
            # Readers look at it for float32 only; MLC's files have it everywhere.
            "format": "raw" if raw else "f32-to-bf16",
            "nbytes": record.nbytes,
            "byteOffset": offset,
        }
        entries.append(entry)
        offset += record.nbytes
    return entries


def encode(values: Array) -> Array:
    """Return ``values`` (finite) as they are stored: float32 as the bits of bfloat16.

    Rounds to nearest, ties to even; what would become infinite is cut off instead.
    """
    if values.dtype != np.float32:
        return values
    bits = values.view(np.uint32)
    stored = bits >> np.uint32(16)
    stored &= np.uint32(1)
    stored += np.uint32(0x7FFF)
    stored += bits
    stored >>= np.uint32(16)
    largest = np.uint32(0x7F7F0000)
    beyond = (bits & np.uint32(0x7FFFFFFF)) >= largest
    if beyond.any():
        stored[beyond] = bits[beyond] >> np.uint32(16)
    return stored.astype(np.uint16)
