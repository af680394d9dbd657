"""Gathering a conversion's files, and putting them in the place of an earlier one's."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlcx.artifact import STAGING, TENSOR_CACHE, TENSOR_CACHE_B16
from mlcx.errors import BuildError

__all__ = ["check_places", "publish", "staging", "take_back"]

_SHARDS = "params_shard_*.bin"


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yield a folder inside ``output`` that is gone afterwards, unless interrupted.

    Then, and when a run is killed, the next one finds in it what this one left.

    Args:
        output: Made when missing; removed again when it stayed empty.

    Raises:
        BuildError: Something could not be written.
    """
    folder = output / STAGING
    try:
        output.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        yield folder
    except KeyboardInterrupt:
        raise
    except OSError as error:
        _remove(folder)
        place = error.filename or output
        raise BuildError(f"{place}: cannot be written: {error.strerror}") from error
    except BaseException:
        _remove(folder)
        raise
    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove ``folder``, and the one that it is in when that is empty then."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def check_places(output: Path, files: Iterable[str]) -> None:
    """Check that nothing but files is where ``publish`` puts ``files``.

    Raises:
        BuildError: A folder is.
    """
    for path in (output / file for file in files):
        if path.is_dir():
            raise BuildError(f"{path}: expected a file or nothing, found a folder")


def publish(folder: Path, output: Path, files: Iterable[str]) -> None:
    """Move ``files`` and the index from ``folder`` to ``output``; Ctrl-C must wait.

    An index is there only beside the shards that it describes, even when this is
    killed: the old one goes before any shard is replaced, the new one comes last.
    """
    kept = set(files)
    with _uninterrupted():
        for name in (TENSOR_CACHE, TENSOR_CACHE_B16):
            (output / name).unlink(missing_ok=True)
        for file in sorted(kept - {TENSOR_CACHE}):
            (folder / file).replace(output / file)
        for stale in output.glob(_SHARDS):
            if stale.name not in kept:
                stale.unlink()
        (folder / TENSOR_CACHE).replace(output / TENSOR_CACHE)
        shutil.rmtree(folder, ignore_errors=True)


def take_back(folder: Path, output: Path) -> None:
    """Move to ``folder`` again what a ``publish`` had moved when it was killed."""
    if not (folder / TENSOR_CACHE).is_file() or (output / TENSOR_CACHE).exists():
        return
    for shard in output.glob(_SHARDS):
        if not (folder / shard.name).exists():
            shard.replace(folder / shard.name)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C, which only the main thread feels."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    earlier = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
        if pressed:
            signal.raise_signal(signal.SIGINT)
