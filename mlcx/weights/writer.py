"""Writing shards, and putting a finished conversion in the place of an earlier one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mlcx.artifact import STAGING, TENSOR_CACHE, TENSOR_CACHE_B16
from mlcx.errors import BuildError
from mlcx.quant.plain import Array
from mlcx.weights.shards import Record, Shard

__all__ = ["ShardWriter", "publish", "staging"]


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
    """

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self._folder = folder
        self._shards = shards
        self._number = {
            record.name: number
            for number, shard in enumerate(shards)
            for record in shard.records
        }
        self._open: dict[int, _OpenShard] = {}
        self._md5s: dict[int, str] = {}
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def write(self, record: Record, data: Array) -> None:
        """Append ``data``, the next part of ``record``, to its shard."""
        number = self._number[record.name]
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
            self._md5s[number] = open_shard.md5.hexdigest()
            self._wait()
            self._open.pop(number).stream.close()

    def md5s(self) -> list[str]:
        """Return the md5 of every shard in hexadecimal; all must be complete."""
        assert not self._open
        return [self._md5s[number] for number in range(len(self._shards))]

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
    while view:
        view = view[stream.write(view) :]


@contextmanager
def staging(output: Path, nbytes: int) -> Iterator[Path]:
    """Yield an empty folder inside ``output`` that is gone afterwards.

    What a killed run left in its place goes first.

    Args:
        output: Made when missing; removed again when it stayed empty.
        nbytes: What is going to be written there.

    Raises:
        BuildError: There is not enough space, or something could not be written.
    """
    folder = output / STAGING
    try:
        output.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        free = _free_bytes(output)
        if free < nbytes:
            message = f"{output}: needs {nbytes} bytes of disk space, found {free}"
            raise BuildError(message)
        folder.mkdir()
        yield folder
    except OSError as error:
        place = error.filename or output
        raise BuildError(f"{place}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def publish(folder: Path, output: Path, files: Iterable[str]) -> None:
    """Move ``files`` and the index from ``folder`` to ``output``.

    An index is there only beside the shards that it describes, whenever this is
    interrupted: the old one goes before any shard is replaced, the new one comes last.
    """
    kept = set(files)
    for name in (TENSOR_CACHE, TENSOR_CACHE_B16):
        (output / name).unlink(missing_ok=True)
    for file in sorted(kept - {TENSOR_CACHE}):
        (folder / file).replace(output / file)
    for stale in output.glob("params_shard_*.bin"):
        if stale.name not in kept:
            stale.unlink()
    (folder / TENSOR_CACHE).replace(output / TENSOR_CACHE)
