"""An entry of a store, and receiving what it promises."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mlcx.artifact import replacing
from mlcx.shape import fits
from mlcx.spec.digest import digest_file

__all__ = ["CONTENT", "ENTRIES", "DamagedError", "Entry", "receive"]

ENTRIES = "entries"
CONTENT = "content"


class DamagedError(Exception):
    """A store holds something else than was put into it; says what."""


@dataclass(frozen=True)
class Entry:
    """What was made for a key."""

    key: str
    """64 hexadecimal digits."""
    sha256: str
    """Of the content."""
    size: int
    """Bytes."""
    label: str
    """What it is, for people."""

    @classmethod
    def of(cls, key: str, file: Path, label: str) -> Entry:
        """Return the entry that promises the content of ``file``."""
        return cls(key, digest_file(file), file.stat().st_size, label)

    @classmethod
    def parse(cls, key: str, text: bytes) -> Entry:
        """Return the entry of ``key`` that ``to_bytes`` made ``text`` of.

        Raises:
            DamagedError: ``text`` is something else.
        """
        try:
            entry = cls(**json.loads(text))
            int(entry.sha256, 16)
        except (ValueError, TypeError, RecursionError) as error:
            raise DamagedError(f"the entry {key} cannot be read") from error
        if entry.key != key or len(entry.sha256) != 64 or not fits(entry, cls):
            raise DamagedError(f"the entry {key} is of something else")
        return entry

    def to_bytes(self) -> bytes:
        """Return this as JSON."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def receive(entry: Entry, blocks: Iterable[bytes], target: Path) -> None:
    """Write ``blocks`` to ``target``, atomically, if they are what ``entry`` promises.

    Raises:
        DamagedError: They are not; ``target`` is as it was.
        BuildError: ``target`` cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    with replacing(target) as temporary:
        with temporary.open("wb") as file:
            for block in blocks:
                digest.update(block)
                size += len(block)
                file.write(block)
        if digest.hexdigest() != entry.sha256:
            found = f"expected {entry.size} bytes of SHA-256 {entry.sha256}"
            message = f"{found}, found {size} of {digest.hexdigest()}"
            raise DamagedError(f"{entry.label} is damaged: {message}")
