"""What many records of a build say alike, each kept once, under its own digest.

Each library depends on the same hundred sources of mlcx: in every record of a release
they would take a hundred megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from mlcx.artifact import write_bytes
from mlcx.spec.digest import canonical_json

__all__ = ["Common"]

_REFERENCE = re.compile(rb'"([0-9a-f]{64})"')
_MANY = 64
"""Files from which on it is seen whether all of them are needed."""


class Common:
    """Objects of texts, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        """Keep them in ``folder``, which need not be there."""
        self._folder = folder
        self._known: dict[str, Mapping[str, str]] = {}

    def put(
        self, value: Mapping[str, str], others: Callable[[], Iterable[bytes]]
    ) -> str:
        """Keep ``value`` and return its digest.

        Args:
            value: What is to be kept.
            others: Returns the texts that may name what is kept by its digest. What
                none of them names, nor this has seen, is removed at times.
        """
        data = canonical_json(value).encode()
        digest = sha256(data).hexdigest()
        if self.get(digest) is None:
            write_bytes(self._path(digest), data)
            self._known[digest] = value
            self._tidy(others)
        return digest

    def get(self, digest: str) -> Mapping[str, str] | None:
        """Return what has this digest; None: it is not there, or is damaged."""
        if digest not in self._known:
            value = self._read(digest)
            if value is None:
                return None
            self._known[digest] = value
        return self._known[digest]

    def files(self) -> list[Path]:
        """Return all files of its own."""
        return [*self._folder.glob(f"{'[0-9a-f]' * 64}.json")]

    def clear(self) -> None:
        """Remove all, when nobody needs it any more."""
        for path in self.files():
            path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _read(self, digest: str) -> Mapping[str, str] | None:
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            return None
        if sha256(data).hexdigest() != digest:
            return None
        value: dict[str, str] = json.loads(data)
        return value

    def _tidy(self, others: Callable[[], Iterable[bytes]]) -> None:
        files = self.files()
        # At powers of two: what is needed is found by reading all that may need it.
        if len(files) < _MANY or len(files) & (len(files) - 1):
            return
        needed = {
            each.decode() for text in others() for each in _REFERENCE.findall(text)
        }
        for path in files:
            if path.stem not in needed | self._known.keys():
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"
