"""Checks a model's weight files against the library that shall take them.

The loader itself trusts ``tensor-cache.json`` and reads past the end of a shard that is
too short. So all that it relies on is checked here, by sizes, without reading weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlcx import artifact
from mlcx.errors import InputError, Problem
from mlcx.runtime.fields import Fields
from mlcx.runtime.metadata import Parameter

__all__ = ["check"]

_MOST = 8
"""Problems to report before saying only how many more there are."""

_BITS = re.compile(r"[a-z]+(\d+)")


@dataclass(frozen=True)
class _Record:
    """One tensor as ``tensor-cache.json`` has it; sizes in bytes."""

    shape: tuple[int, ...]
    dtype: str
    half: bool
    """Whether float32 values are stored as bfloat16."""
    nbytes: int
    offset: int


def check(
    directory: Path, parameters: Sequence[Parameter], sizes: Mapping[str, int]
) -> None:
    """Make sure that ``directory`` has the weights that a library takes.

    Args:
        directory: Holds ``tensor-cache.json`` and its shards.
        parameters: What the library takes.
        sizes: Numbers for sizes that parameters name.

    Raises:
        InputError: A file is missing or of another length than it should be, or a
            parameter is missing or of another shape or dtype; says which.
    """
    index = directory / artifact.TENSOR_CACHE
    records: dict[str, _Record] = {}
    problems: list[str] = []
    for shard in Fields(index, artifact.read_json(index)).objects("records"):
        contents = {one.text("name"): _record(one) for one in shard.objects("records")}
        problems += _check_shard(directory, shard, contents)
        records |= contents
    for parameter in parameters:
        problems += _check_parameter(parameter, records.get(parameter.name), sizes)
    if problems:
        more = len(problems) - _MOST
        shown = problems[:_MOST] + [f"and {more} more problems"] * (more > 0)
        raise InputError([Problem(str(index), 0, 0, text) for text in shown])


def _check_shard(
    directory: Path, shard: Fields, contents: Mapping[str, _Record]
) -> Iterator[str]:
    name, length = shard.text("dataPath"), shard.integer("nbytes")
    if name in {"", ".."} or Path(name).name != name:
        yield f"{name!r}: expected the name of a file in the same folder"
        return
    if shard.text("format") != "raw-shard":
        yield f"{name}: expected the format raw-shard, found {shard.text('format')}"
    try:
        found = (directory / name).stat().st_size
    except OSError as error:
        yield f"{name}: cannot be read: {error.strerror}"
    else:
        if found != length:
            yield (
                f"{name}: expected {length} bytes, found {found}: fetch or convert the "
                "weights again"
            )
    for tensor, record in contents.items():
        inside = 0 <= record.offset <= length - record.nbytes
        if not inside or record.nbytes != _stored(record):
            yield f"{name}: {tensor} is not where it should be, or not of its size"


def _record(fields: Fields) -> _Record:
    return _Record(
        shape=tuple(fields.integers("shape")),
        dtype=fields.text("dtype"),
        half=fields.text("format") == "f32-to-bf16",
        nbytes=fields.integer("nbytes"),
        offset=fields.integer("byteOffset"),
    )


def _stored(record: _Record) -> int:
    """Return how many bytes a tensor of this shape and dtype takes in a shard.

    -1 when there is no such shape.
    """
    if any(size < 0 for size in record.shape):
        return -1
    match = _BITS.match(record.dtype)
    bits = int(match[1]) if match else 0
    halved = record.half and record.dtype == "float32"
    return math.prod(record.shape) * (16 if halved else bits) // 8


def _check_parameter(
    parameter: Parameter, record: _Record | None, sizes: Mapping[str, int]
) -> Iterator[str]:
    if record is None:
        yield f"no weight {parameter.name}, which the library takes"
        return
    wanted = tuple(
        sizes.get(n, -1) if isinstance(n, str) else n for n in parameter.shape
    )
    if (record.shape, record.dtype) != (wanted, parameter.dtype):
        yield (
            f"{parameter.name}: the library takes {parameter.dtype} {list(wanted)}, "
            f"found {record.dtype} {list(record.shape)}: weights and library are of "
            "different models, quantizations or overrides"
        )
