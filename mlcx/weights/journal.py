"""What an interrupted conversion has finished, so that the next one goes on from there.

The journal lies beside the shards: a line that says of what they are, then one for each
finished shard with its md5. A shard counts when its bytes still have that md5, so that
nothing needs to be flushed to the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlcx.weights.mapping import Mapped
from mlcx.weights.shards import Shard

__all__ = ["JOURNAL", "Journal", "identify"]

JOURNAL = "journal"

_PIECE = 1 << 20


def identify(key: str, mapped: Iterable[Mapped], shards: Sequence[Shard]) -> str:
    """Return a digest of all that the bytes of ``shards`` depend on.

    Args:
        key: Stands for what is not said by the others: config, code and options.
        mapped: The parameters and their tensors; files count by place, size and time of
            change.
        shards: What is made of them.
    """
    made = [
        (
            each.parameter,
            [(of.name, of.dtype, of.shape, of.start) for of in each.sources],
        )
        for each in mapped
    ]
    files = sorted(
        {tensor.file.resolve() for each in mapped for tensor in each.sources}
    )
    changed = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    described = repr((key, made, files, changed, shards))
    return hashlib.sha256(described.encode()).hexdigest()


class Journal:
    """The finished shards of a folder.

    Opening it removes all but those that an earlier conversion of the same identity has
    finished.

    Args:
        folder: Of the shards and the journal.
        identity: Of this conversion; None: nothing earlier is the same.
        shards: All of them.
    """

    def __init__(
        self, folder: Path, identity: str | None, shards: Sequence[Shard]
    ) -> None:
        self._path = folder / JOURNAL
        self._shards = shards
        known = _read(self._path, identity) if identity else {}
        finished = {
            number: known[shard.file]
            for number, shard in enumerate(shards)
            if shard.file in known and _md5(folder / shard.file) == known[shard.file]
        }
        kept = {shards[number].file for number in finished}
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()
        self.md5s: dict[int, str] = {}
        """Of each finished shard, in hexadecimal."""
        self._append(identity)
        for number, md5 in finished.items():
            self.finish(number, md5)

    @property
    def missing_bytes(self) -> int:
        """Bytes of the shards that are not finished."""
        return sum(
            shard.nbytes
            for number, shard in enumerate(self._shards)
            if number not in self.md5s
        )

    def finish(self, number: int, md5: str) -> None:
        """Note that a shard is complete."""
        self.md5s[number] = md5
        self._append([self._shards[number].file, md5])

    def _append(self, line: object) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _read(path: Path, identity: str) -> dict[str, str]:
    """Return the md5s of shards by name in the journal at ``path``, if it is ours."""
    try:
        first, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return dict(lines) if first == identity else {}
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _md5(path: Path) -> str | None:
    """Return the md5 of a file in hexadecimal; None: there is none."""
    md5 = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                md5.update(piece)
    except FileNotFoundError:
        return None
    return md5.hexdigest()
