"""Bring files of a model into a folder: each whole and verified, or not at all.

A file is downloaded under the name of its hash, in a folder of partial files, and gets
its place only when its bytes are what they must be. So a run that was killed goes on
where it was, and nobody ever sees a file that is not right.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from mlcx.errors import BuildError
from mlcx.hub.remote import Hub
from mlcx.spec.digest import digest_file
from mlcx.spec.hub import Repository
from mlcx.spec.lock import PARTIAL, LockedFile
from mlcx.spec.verified import Look, Verified, look

__all__ = ["Fetch", "Progress", "digest"]

_THREADS = 8


class Progress(Protocol):
    """Is told how a download goes, from any thread."""

    def begin(self, nbytes: int, what: str) -> None:
        """Say how many bytes of what there are to come."""

    def advance(self, nbytes: int) -> None:
        """Say how many more have come."""

    def note(self, text: str) -> None:
        """Say something that a person should know."""


def digest(path: Path, kind: str = "sha256") -> str:
    """Return what the hub knows a file by, in hexadecimal.

    Args:
        path: The file.
        kind: ``sha256``, or ``git``: as git names it, by its size and content.
    """
    if kind != "git":
        return digest_file(path)
    header = b"blob %d\0" % path.stat().st_size
    return digest_file(path, algorithm="sha1", start=header)


class Fetch:
    """Brings files of one commit of a repository into one folder."""

    def __init__(
        self,
        repository: Repository,
        commit: str,
        folder: Path,
        hub: Hub,
        progress: Progress,
        barred: str = "",
    ) -> None:
        """Take from ``hub``, unless ``barred`` says why nothing may be."""
        self._repository = repository
        self._commit = commit
        self._folder = folder
        self._hub = hub
        self._progress = progress
        self._barred = barred
        self._stopped = Event()

    def run(
        self,
        files: Sequence[LockedFile],
        elsewhere: Sequence[Path] = (),
        *,
        again: bool,
    ) -> bool:
        """Make the folder have ``files``; say whether one of them was missing.

        Args:
            files: With what they must be.
            elsewhere: Folders that may have some of them, which then are taken.
            again: Download also what is here.

        Raises:
            BuildError: A file cannot be had, or is not what it must be.
            UsageError: The hub refuses.
        """
        with self.locked():
            verified = Verified(self._folder)
            missing = list(files) if again else verified.lacking(files)
            wanted = [
                file
                for file in missing
                if again or not self._take(file, elsewhere, verified)
            ]
            if wanted:
                self._check(wanted)
                nbytes = sum(file.size for file in wanted)
                self._progress.begin(nbytes, str(self._repository))
                self._all([self._job(file, verified) for file in wanted])
            verified.write()
            return bool(missing)

    def _job(self, file: LockedFile, verified: Verified) -> Callable[[], None]:
        def get() -> None:
            verified.remember(file, self.obtain(file, file.sha256, "sha256"))

        return get

    def obtain(self, file: LockedFile, expected: str, kind: str) -> Look:
        """Download a file into its place, once its hash is found right.

        Args:
            file: Its names and its size; its SHA-256 may not be known yet.
            expected: Its hash.
            kind: ``sha256``, or ``git`` for the id of a blob.

        Returns:
            How it looked before it was read, as it does while nobody writes to it.
        """
        partial = self._folder / PARTIAL / expected
        partial.parent.mkdir(parents=True, exist_ok=True)
        self._hub.download(
            self._repository,
            self._commit,
            file.remote,
            file.size,
            partial,
            self._advance,
        )
        before = look(partial)
        found = digest(partial, kind)
        if found != expected:
            partial.unlink()
            message = (
                f"{file.remote} of {self._repository} is not what it must be: expected "
            )
            message += f"the {kind} hash {expected}, found {found}. Nothing is kept; "
            message += "try again, and if it stays so, look at who answers for the hub"
            raise BuildError(message)
        partial.replace(self._folder / file.name)
        return before

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: others who want to bring files into it wait."""
        from filelock import FileLock, Timeout  # noqa: PLC0415

        self._folder.mkdir(parents=True, exist_ok=True)
        whole = self._folder.resolve()  # one that is ".." has a name, too
        lock = FileLock(whole.parent / f".{whole.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._progress.note(f"waiting for another download of {self._repository}")
            lock.acquire()
        try:
            yield
            with contextlib.suppress(OSError):  # what others left to go on with
                (self._folder / PARTIAL).rmdir()
        finally:
            lock.release()

    def _all(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Run ``jobs`` side by side; a failure, or Ctrl-C, waits for none of them.

        Those that run end with the next bytes that they get, or with the process, which
        a ThreadPoolExecutor would let wait for them: what has come is kept.
        """
        todo, ended = deque(jobs), SimpleQueue[BaseException | None]()

        def work() -> None:
            with contextlib.suppress(IndexError):
                while not self._stopped.is_set():
                    ended.put(_failure(todo.popleft()))

        try:
            for _ in range(min(_THREADS, len(jobs))):
                Thread(target=work, daemon=True).start()
            for _ in jobs:
                if failure := ended.get():
                    raise failure
        except BaseException:
            self._stopped.set()
            raise

    def _advance(self, nbytes: int) -> None:
        if self._stopped.is_set():
            raise CancelledError
        self._progress.advance(nbytes)

    def _check(self, wanted: Sequence[LockedFile]) -> None:
        """Refuse what cannot be done before a byte has come."""
        if self._barred:
            named = ", ".join(file.name for file in wanted)
            message = f"{self._repository} is not all here and cannot be downloaded, as"
            message += f" {self._barred}: {self._folder} lacks {named}"
            raise BuildError(message)
        needed = sum(file.size for file in wanted)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            message = f"{self._repository} needs {needed} more bytes, and the disk of"
            raise BuildError(f"{message} {self._folder} has {free}: make room")

    def _take(
        self, file: LockedFile, elsewhere: Sequence[Path], verified: Verified
    ) -> bool:
        """Take ``file`` from a folder that has it; say whether one has."""
        for source in (at / name for at in elsewhere for name in _names(file)):
            with contextlib.suppress(OSError):
                if source.stat().st_size == file.size and (
                    before := _place(source.resolve(), self._folder, file)
                ):
                    verified.remember(file, before)
                    return True
        return False


def _failure(job: Callable[[], None]) -> BaseException | None:
    """Return what ``job`` ended in; None: it is done."""
    try:
        job()
    except BaseException as error:
        return error
    return None


def _names(file: LockedFile) -> tuple[str, ...]:
    return tuple(dict.fromkeys((file.name, file.remote)))


def _place(source: Path, folder: Path, file: LockedFile) -> Look:
    """Make ``folder`` have ``file`` by a link to ``source``, else by a copy.

    Returns:
        How it looked before it was read; empty: it is not what it must be.
    """
    target = folder / file.name
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)
        before = look(temporary)
        if digest(temporary) != file.sha256:
            return []
        temporary.replace(target)
        return before
    finally:
        temporary.unlink(missing_ok=True)
