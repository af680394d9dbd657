"""How large the weights of a checkpoint are, from the headers of its files alone.

What a conversion has in memory is parts of one layer at a time, so of interest is the
largest one. Reads headers and checks nothing: who converts does, with messages.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["largest_layer"]

_LONGEST_HEADER = 100_000_000
_SHORTEST_NUMBER = 2
"""Bytes, where a file does not say: of a float16."""
_OF_A_STACK = ".experts."
"""What is below this becomes one parameter."""


def largest_layer(files: Iterable[Path]) -> int:
    """Return how many weights the largest layer in ``files`` has; 0: nobody knows.

    A layer is a module with all its matrices, since several may become one parameter:
    the projections of an attention, all experts, an embedding.
    """
    layers: Counter[str] = Counter()
    for file in files:
        for name, weights in _tensors(file):
            layers[_layer(name)] += weights
    return max(layers.values(), default=0)


def _layer(name: str) -> str:
    stack, found, _ = name.partition(_OF_A_STACK)
    return stack if found else name.removesuffix(".weight").rpartition(".")[0] or name


def _tensors(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of weights of each tensor in ``file``."""
    read = {".safetensors": _in_header, ".bin": _in_archive}.get(file.suffix)
    try:
        yield from read(file) if read else ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return
    except RecursionError:
        return


def _in_header(file: Path) -> Iterator[tuple[str, int]]:
    for name, entry in _header(file).items():
        if name != "__metadata__":
            yield name, math.prod(entry["shape"])


def _in_archive(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the members of a PyTorch file: each tensor is one, under a number."""
    from zipfile import BadZipFile, ZipFile  # noqa: PLC0415 (rarely needed)

    try:
        with ZipFile(file) as archive:
            for each in archive.infolist():
                yield each.filename, each.file_size // _SHORTEST_NUMBER
    except BadZipFile:
        return


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _LONGEST_HEADER:
            return {}  # something else, of which nothing more is to be in memory
        header: dict[str, dict[str, list[int]]] = json.loads(stream.read(length))
    return header
