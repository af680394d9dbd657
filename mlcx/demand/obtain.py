"""How a file that is not there gets there: from the cache of builds, or made.

Loaded only then, as it takes as long as all that a library that is there takes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path

from mlcx.demand.steps import make
from mlcx.demand.wanted import Wish
from mlcx.errors import BuildError, said
from mlcx.store.cache import Cache
from mlcx.store.settings import Settings, open_cache, settings

__all__ = ["obtain"]

_LOG = logging.getLogger("mlcx.jit")


def obtain(
    wish: Wish,
    is_there: Callable[[], bool],
    environ: Mapping[str, str],
    began: int,
    *,
    takes_cached: bool = True,
    refusal: str = "",
) -> None:
    """Take or make a file, of many processes that want it at once only in one.

    Args:
        wish: What is wanted.
        is_there: Whether another process has made it by now.
        environ: Of the process.
        began: When ``jit`` was called, in nanoseconds: what one call obtains comes from
            one cache, which says once that a level fails, and does without it.
        takes_cached: Whether what is stored will do; else it is replaced.
        refusal: Why it may not be made; empty: it may.

    Raises:
        BuildError: It cannot be made, or may not be.
        UsageError: A variable that says where the cache is means nothing.
    """
    cache = _cache(settings(environ), began)
    with _one_at_a_time(wish.file):
        if is_there():
            return
        alone = nullcontext() if cache is None else cache.making(wish.key)
        with alone:
            if cache and takes_cached and cache.take(wish.key, wish.file):
                _LOG.info("Taken from the cache: %s", wish.file)
                return
            if refusal:
                raise BuildError(refusal)
            _LOG.info("Making, by %s: %s", wish.step.inputs.verb, wish.file)
            make(wish, environ)
            if cache:
                cache.put(wish.key, wish.file, wish.label, replace=not takes_cached)


@lru_cache(maxsize=1)
def _cache(chosen: Settings, began: int) -> Cache | None:
    del began
    return open_cache(chosen, _LOG.warning)


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Hold a lock on ``file``, for which other processes wait."""
    from filelock import FileLock  # noqa: PLC0415

    folder = file.parent / "locks"
    lock = FileLock(folder / f"{file.name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        what = said(error) if isinstance(error, OSError) else str(error)
        raise BuildError(f"{file} cannot be locked: {what}") from error
    try:
        yield
    finally:
        lock.release()
