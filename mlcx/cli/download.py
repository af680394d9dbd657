"""Models from the hub for verbs: pinned for the user, brought here, with progress."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlcx.errors import UsageError
from mlcx.progress import Bar, above, bar, draws, listens
from mlcx.report.units import size

if TYPE_CHECKING:
    from mlcx.hub.keep import Part
    from mlcx.spec.hub import HubSettings, Repository
    from mlcx.spec.lock import LockedModel
    from mlcx.spec.types import SourceKind

__all__ = ["Progress", "drop", "obtain", "pinned"]

_WORTH_SAYING = 1 << 20
"""Bytes from which a download is shown."""
_PERIOD = 10.0
"""Seconds between two lines of a download where there is no bar."""
_MEANT: dict[SourceKind, str] = {
    "checkpoint": "a checkpoint with config.json",
    "mlc": "an MLC model directory with mlc-chat-config.json",
}


def obtain(
    model: str,
    part: Part,
    lock_file: Path | None = None,
    folder: Path | None = None,
    kind: SourceKind | None = None,
) -> Path:
    """Return the folder with the files of ``model``, once they are there.

    Args:
        model: As a person names it, with or without ``HF://``.
        part: Which files.
        lock_file: Pins it; None: a file of the user's that remembers what it was.
        folder: For the files; None: the one that the environment means.
        kind: That it must be; None: any.

    Raises:
        UsageError: It is no model, or not of that kind; the hub or the policy refuses.
        BuildError: Its files cannot be had, or are not what they must be.
    """
    from mlcx.hub.keep import keep
    from mlcx.hub.remote import HuggingFace
    from mlcx.spec.hub import DownloadPolicy, Repository, is_remote
    from mlcx.spec.lock import read
    from mlcx.spec.resolve import hub_settings

    settings = hub_settings()
    name = model if is_remote(model) else f"HF://{model}"
    repository = Repository.parse(name, settings.endpoint)
    if lock_file is not None:
        locked = read(lock_file).get(repository.key)
        if locked is None:
            raise UsageError(f"{repository} is not pinned in {lock_file}: mlcx lock")
    else:
        again = settings.policy is DownloadPolicy.REDO
        _, locked = pinned(settings.lock, repository, again)
    if kind is not None and locked.kind != kind:
        message = f"{repository}: expected {_MEANT[kind]}, found {_MEANT[locked.kind]}"
        raise UsageError(message)
    if kind is not None and part != "texts":
        _require_weights(locked)
    with Progress() as progress:
        hub = HuggingFace(settings.endpoint)
        return keep(locked, part, settings, hub, progress, folder)


def _require_weights(model: LockedModel) -> None:
    from mlcx.spec.folder import Place, lacks

    if missing := lacks(Place(Path(), model.kind, model)):
        raise UsageError(f"there are no weights: {missing}")


def pinned(
    file: Path, repository: Repository, again: bool
) -> tuple[LockedModel | None, LockedModel]:
    """Return what ``file`` has of ``repository``, and what it has now.

    Args:
        file: A lock file, which pins the repository from now on.
        repository: To pin.
        again: Pin it to what it is now, also when it is pinned.

    Raises:
        UsageError: There is no such model, or the hub may not be asked.
        BuildError: The hub cannot be reached.
    """
    from mlcx.hub.keep import may_download
    from mlcx.hub.pin import pin
    from mlcx.hub.remote import HuggingFace
    from mlcx.spec.lock import read, write
    from mlcx.spec.resolve import hub_settings

    before = read(file).get(repository.key)
    if before is not None and not again:
        return before, before
    settings = hub_settings()
    if barred := may_download(settings):
        message = f"{repository} is not pinned in {file}, and the hub cannot be asked"
        raise UsageError(
            f"{message}, as {barred}: allow it once, or copy the file here"
        )
    with Progress() as progress:
        now = pin(HuggingFace(settings.endpoint), repository, settings, progress)
    with _alone(settings):
        write(file, [*({**read(file), repository.key: now}).values()])
    return before, now


def drop(file: Path, keys: Collection[str]) -> None:
    """Make ``file``, a lock file, pin the repositories ``keys`` no longer."""
    from mlcx.spec.lock import read, write
    from mlcx.spec.resolve import hub_settings

    with _alone(hub_settings()):
        write(file, [each for key, each in read(file).items() if key not in keys])


@contextlib.contextmanager
def _alone(settings: HubSettings) -> Iterator[None]:
    """Let no other process write a lock file."""
    from filelock import FileLock

    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / ".lock-files.lock"):
        yield


class Progress:
    """A bar of the bytes that come, where a terminal can show it; else a few lines."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._guard = threading.Lock()
        self._what = ""
        self._total = self._come = 0
        self._said = 0.0

    def begin(self, nbytes: int, what: str) -> None:
        """Say how many bytes of what there are to come."""
        self._close()
        if nbytes < _WORTH_SAYING:
            return
        self._what, self._total, self._come = what, nbytes, 0
        self._bar = bar("downloading" if listens() else what, nbytes)
        if not draws(sys.stderr):
            self._say(f"downloading {size(nbytes)}: {what}")

    def advance(self, nbytes: int) -> None:
        """Say how many more have come."""
        with self._guard:
            self._come += nbytes
            if self._bar is None:
                return
            self._bar.update(nbytes)
            if not draws(sys.stderr) and time.monotonic() > self._said + _PERIOD:
                come, total = size(self._come), size(self._total)
                self._say(f"{come} of {total} here: {self._what}")

    def note(self, text: str) -> None:
        """Say something that a person should know."""
        with self._guard:
            above(f"mlcx: {text}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        print(f"mlcx: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        from huggingface_hub.utils import logging

        logging.set_verbosity_error()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
