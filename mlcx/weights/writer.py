"""Writing shards, and whether there is space for them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mlcx.artifact import unwritten
from mlcx.errors import BuildError
from mlcx.quant.plain import Array
from mlcx.weights.journal import Journal
from mlcx.weights.shards import Record, Shard

__all__ = ["ShardWriter", "check_space"]


@dataclass
class _OpenShard:
    """A shard that is not complete yet."""

    stream: FileIO
    missing: int
    """Bytes still to come."""
    md5: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))


class ShardWriter:
    """Appends data to shards, each in the order of its records.

    Hashes in the calling thread while another one writes what came before.

    Args:
        folder: Of the shards.
        shards: All of them.
        journal: Knows those that are finished, which are not written again, and is told
            of each one that is.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], journal: Journal) -> None:
        self._folder = folder
        self._shards = shards
        self._journal = journal
        self._number = {
            record.name: number
            for number, shard in enumerate(shards)
            for record in shard.records
        }
        self._open: dict[int, _OpenShard] = {}
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def lacks(self, records: Iterable[Record]) -> bool:
        """Say whether one of ``records`` is of a shard that is not finished."""
        finished = self._journal.md5s
        return any(self._number[record.name] not in finished for record in records)

    def write(self, record: Record, data: Array) -> None:
        """Append ``data``, the next part of ``record``, to its shard if it lacks it."""
        number = self._number[record.name]
        if number in self._journal.md5s:
            return
        if number not in self._open:
            shard = self._shards[number]
            stream = FileIO(self._folder / shard.file, "x")
            self._open[number] = _OpenShard(stream, shard.nbytes)
        open_shard = self._open[number]
        view = data.reshape(-1).view(np.uint8).data
        self._wait()
        self._writing = self._thread.submit(_write_all, open_shard.stream, view)
        open_shard.md5.update(view)
        open_shard.missing -= len(view)
        if not open_shard.missing:
            self._wait()
            self._open.pop(number).stream.close()
            self._journal.finish(number, open_shard.md5.hexdigest())

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()
        for shard in self._open.values():
            shard.stream.close()


def _write_all(stream: FileIO, view: memoryview) -> None:
    try:
        while view:
            view = view[stream.write(view) :]
    except OSError as error:
        raise unwritten(Path(str(stream.name)), error) from error


def check_space(folder: Path, nbytes: int) -> None:
    """Check that ``nbytes`` more can be written to ``folder``.

    Raises:
        BuildError: There is not enough space.
    """
    free = _free_bytes(folder)
    if free < nbytes:
        message = f"{folder.parent}: needs {nbytes} bytes of disk space, found {free}"
        raise BuildError(message)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
