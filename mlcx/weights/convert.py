"""Converting a checkpoint: read, cast, quantize and store it, a block at a time.

Blocks go through threads and come out in order, so that memory holds a few of them and
the scales of one parameter, however large a tensor or the checkpoint is. Nothing of an
earlier conversion is touched until the new one is complete.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlcx.artifact import TENSOR_CACHE, TENSOR_CACHE_B16
from mlcx.quant.plain import Array
from mlcx.recipe import Recipe
from mlcx.share import processors
from mlcx.weights.ahead import convert_ahead
from mlcx.weights.assemble import assemble
from mlcx.weights.blocks import Converter, blocks, stored
from mlcx.weights.checkpoint import find, read_checkpoint
from mlcx.weights.journal import Journal, identify
from mlcx.weights.mapping import Mapped, Parameter, WeightMap, map_weights, no_use_for
from mlcx.weights.reader import Reader
from mlcx.weights.shards import Record, Shard, index_text, lay_out
from mlcx.weights.staging import check_places, publish, staging, take_back
from mlcx.weights.writer import ShardWriter, check_space

__all__ = ["Converted", "Reporter", "convert"]

_INDICES = (TENSOR_CACHE, TENSOR_CACHE_B16)


class Reporter(Protocol):
    """Is told how a conversion goes."""

    def begin(self, nbytes: int, done: int) -> None:
        """``nbytes`` of the checkpoint are asked for; an earlier run did ``done``."""

    def advance(self, nbytes: int) -> None:
        """``nbytes`` more of the checkpoint are converted and written."""

    def warn(self, message: str) -> None:
        """Something may be wrong, but the conversion goes on."""


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote."""

    parameters: int
    """Stored tensors: a quantized parameter counts as several."""
    nbytes: int
    """Bytes of all shards."""
    bits_per_parameter: float
    """Bits in memory, for each element of the checkpoint."""


def convert(
    parameters: Sequence[Parameter],
    recipes: Mapping[str, Recipe],
    unused: Iterable[str],
    source: Path,
    output: Path,
    reporter: Reporter,
    *,
    threads: int | None = None,
    exact_float32: bool = False,
    key: str | None = None,
) -> Converted:
    """Write the shards and the index of a checkpoint's weights below ``output``.

    Args:
        parameters: All of the model's, and how each is packed.
        recipes: As in ``map_weights``.
        unused: As in ``map_weights``.
        source: A directory, a file of tensors or an index.
        output: A directory; made when missing. Files other than a conversion's are left
            alone; those of an earlier one go when this one is complete.
        reporter: Told of progress and of what is unusual.
        threads: How many convert at a time; None: one for each processor.
        exact_float32: Store float32 as it is; else as bfloat16, as MLC does, except
            where a recipe is ``exact``.
        key: Stands for config and code. What an interrupted conversion with the same
            key and arguments has finished is not done again; None: all is.

    Raises:
        InputError: The checkpoint is damaged or not one of this model, or a weight is
            not finite. ``output`` is as it was.
        BuildError: ``output`` cannot be written. Nothing half-written is left.
        KeyboardInterrupt: What is finished stays in ``output``, for the next run.
    """
    tensors = read_checkpoint(source)
    weights = map_weights(parameters, recipes, unused, tensors, find(source))
    if weights.ignored:
        reporter.warn(no_use_for(weights.ignored))
    records = _stored(weights, exact_float32)
    shards = lay_out(itertools.chain(*records))
    identity = identify(key, weights.mapped, shards) if key else None
    with staging(output) as folder:
        journal = _begin(folder, output, shards, identity)
        with ShardWriter(folder, shards, journal) as writer:
            options = (threads or processors(), exact_float32)
            _write_shards(weights.mapped, records, writer, reporter, *options)
        files = _write_index(shards, journal, weights.source_elements, folder)
        publish(folder, output, files)
    return _converted(list(itertools.chain(*records)), weights.source_elements)


def _begin(
    folder: Path, output: Path, shards: Sequence[Shard], identity: str | None
) -> Journal:
    """Return the journal of ``folder``, once there is room for all that is to come."""
    check_places(output, [*(shard.file for shard in shards), *_INDICES])
    take_back(folder, output)
    journal = Journal(folder, identity, shards)
    check_space(folder, journal.missing_bytes)
    return journal


def _stored(weights: WeightMap, exact_float32: bool) -> list[tuple[Record, ...]]:
    """Return what each parameter is stored as."""
    return [
        stored(each.parameter, exact_float32 or each.recipe.exact)
        for each in weights.mapped
    ]


def _converted(records: Sequence[Record], elements: int) -> Converted:
    """Return what writing ``records`` of a checkpoint with ``elements`` comes to."""
    bits = 8 * sum(record.memory_bytes for record in records)
    nbytes = sum(record.nbytes for record in records)
    return Converted(len(records), nbytes, bits / elements)


def _write_shards(
    mapped: Sequence[Mapped],
    records: Sequence[tuple[Record, ...]],
    writer: ShardWriter,
    reporter: Reporter,
    threads: int,
    exact_float32: bool,
) -> None:
    """Convert what ``writer`` lacks and write it, each parameter as its ``records``."""
    pairs = zip(mapped, records, strict=True)
    missing = [(each, own) for each, own in pairs if writer.lacks(own)]
    todo = [each for each, _ in missing]
    total = sum(each.nbytes for each in mapped)
    reporter.begin(total, total - sum(each.nbytes for each in todo))
    sources = [tensor for each in todo for tensor in each.sources]
    with Reader(sources) as reader, ThreadPoolExecutor(threads) as pool:
        converter = Converter(reader, exact_float32)
        converted = convert_ahead(todo, converter, pool, 2 * threads)
        for each, own in missing:
            done = _take(each, converted, reporter)
            for record, part in assemble(each.parameter, own, done):
                writer.write(record, part)


def _take(
    mapped: Mapped, converted: Iterator[tuple[Array, ...]], reporter: Reporter
) -> Iterator[tuple[Array, ...]]:
    """Yield the converted blocks of ``mapped``, and tell when each one is taken."""
    for block in blocks(mapped):
        yield next(converted)
        reporter.advance(block.nbytes)


def _write_index(
    shards: Sequence[Shard], journal: Journal, elements: int, folder: Path
) -> set[str]:
    """Write the index, or the two, into ``folder``; return the names of all files."""
    files = {shard.file for shard in shards} | {TENSOR_CACHE}
    md5s = [journal.md5s[number] for number in range(len(shards))]
    text = index_text(shards, md5s, elements)
    (folder / TENSOR_CACHE).write_text(text, encoding="utf-8")
    if any(record.halved for shard in shards for record in shard.records):
        text = index_text(shards, md5s, elements, as_stored=True)
        (folder / TENSOR_CACHE_B16).write_text(text, encoding="utf-8")
        files.add(TENSOR_CACHE_B16)
    return files
