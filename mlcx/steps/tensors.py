"""How large the weights of a checkpoint are, from the headers of its files alone.

What a conversion has in memory is parts of one layer at a time, so of interest is the
largest one. Reads headers and checks nothing: who converts does, with messages.
"""

from __future__ import annotations

import json
import math
import zipfile
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
    try:
        if file.suffix == ".safetensors":
            for name, entry in _header(file).items():
                if name != "__metadata__":
                    yield name, math.prod(entry["shape"])
        elif file.suffix == ".bin":
            # PyTorch keeps each tensor as a file of its own, under a number.
            with zipfile.ZipFile(file) as archive:
                for each in archive.infolist():
                    yield each.filename, each.file_size // _SHORTEST_NUMBER
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return
    except (zipfile.BadZipFile, RecursionError):
        return


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header: dict[str, dict[str, list[int]]] = json.loads(
            stream.read(min(length, _LONGEST_HEADER))
        )
    return header
