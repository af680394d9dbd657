"""Put a file in another place without copying its bytes, where the disk can."""

from __future__ import annotations

import secrets
import shutil
import sys
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.errors import BuildError, InputError

__all__ = ["copy", "share"]

_FICLONE = 0x40049409
"""Linux's request to share the blocks of a file, from linux/fs.h."""


def copy(source: Path, target: Path) -> None:
    """Make ``target`` a file of its own with the bytes of ``source``, atomically.

    Raises:
        InputError: There is no file ``source``.
        BuildError: The target cannot be written.
    """
    _check(source)
    try:
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
    except OSError as error:
        raise _failure(target, error) from error


def share(source: Path, target: Path) -> None:
    """Make ``target`` have the bytes of ``source`` at no cost, atomically.

    By shared blocks where the file system has them, which are copied when one of the
    two is written to, else by a hard link, else by a copy. Linked files are one file:
    both are then read-only, so that an edit of the one cannot reach the other. What a
    symbolic link leads to is copied, since it is somebody else's, but in the hub's
    cache, where each file of a model is such a link.

    Raises:
        InputError: There is no file ``source``.
        BuildError: The target cannot be written.
    """
    _check(source)
    if not target.is_symlink() and target.exists() and target.samefile(source):
        return
    if not (_clone(source, target) or _link(source, target)):
        copy(source, target)


def _check(source: Path) -> None:
    if not source.is_file():
        raise InputError.in_file(source, "expected a file, found none")


def _failure(target: Path, error: OSError) -> BuildError:
    return BuildError(f"{target}: cannot be written: {error.strerror}")


def _clone(source: Path, target: Path) -> bool:
    if sys.platform != "linux":
        return False
    from fcntl import ioctl  # noqa: PLC0415 (not on every system)

    try:
        with (
            replacing(target) as temporary,
            source.open("rb") as read,
            temporary.open("wb") as write,
        ):
            ioctl(write.fileno(), _FICLONE, read.fileno())
    except OSError:
        return False  # what is wrong, a copy will say
    return True


def _link(source: Path, target: Path) -> bool:
    if source.is_symlink() and not _is_of_hub(source):
        return False
    # Not through ``replacing``, which sets the mode: a link's mode is the source's.
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        # A link to a symbolic link would be one too, and lead nowhere from here.
        beside.hardlink_to(source.resolve())
        beside.chmod(beside.stat().st_mode & ~0o222)
        beside.replace(target)
    except OSError:
        beside.unlink(missing_ok=True)
        return False
    return True


def _is_of_hub(link: Path) -> bool:
    """Whether it is ``snapshots/REVISION/FILE``, which leads into ``blobs``."""
    folder = link.absolute().parent
    return link.resolve().parent == (folder.parent.parent / "blobs").resolve()
