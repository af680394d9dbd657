"""Blocks through threads: converted ahead of their turn, handed out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mlcx.quant.packing import FittedPacker, Packer
from mlcx.quant.plain import Array
from mlcx.weights.blocks import Converter, blocks
from mlcx.weights.mapping import Mapped

__all__ = ["convert_ahead"]


def convert_ahead(
    mapped: Iterable[Mapped],
    converter: Converter,
    pool: ThreadPoolExecutor,
    ahead: int,
) -> Iterator[tuple[Array, ...]]:
    """Yield every converted block in order, ``ahead`` of them in the making."""
    waiting: deque[Future[tuple[Array, ...]]] = deque()
    for each in mapped:
        packer = _packer(each, converter, pool)
        for block in blocks(each):
            converter.announce(block)
            waiting.append(pool.submit(converter.convert, block, packer))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _packer(
    mapped: Mapped, converter: Converter, pool: ThreadPoolExecutor
) -> Packer | None:
    """Return what packs the rows of ``mapped``; may read all of them for it."""
    packer = mapped.packer
    if not isinstance(packer, FittedPacker):
        return packer
    return packer.fitted(max(pool.map(converter.measure, blocks(mapped))))
