"""Reading TVM's serialized data: little-endian, each length in front of what it counts.

After ``Stream::Write`` in TVM's ``src/support``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Stream", "packed", "sized"]

_T = TypeVar("_T")


def packed(text: str) -> bytes:
    """Return ``text`` as it is serialized."""
    return sized(text.encode())


def sized(data: bytes) -> bytes:
    """Return ``data`` with its length in front."""
    return struct.pack("<Q", len(data)) + data


class Stream:
    """Serialized data, read from ``position`` on.

    Every method raises ValueError where the data ends too early.
    """

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        end = self.position + size
        if end > len(self.data):
            raise ValueError(f"expected {size} bytes at {self.position}: it ends")
        part = self.data[self.position : end]
        self.position = end
        return part

    def integer(self, size: int = 8) -> int:
        """Return an unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def block(self) -> bytes:
        """Return bytes with their length in front."""
        return self.take(self.integer())

    def text(self) -> str:
        """Return a string.

        Raises:
            ValueError: It is no UTF-8.
        """
        return self.block().decode()

    def several(self, read: Callable[[], _T]) -> list[_T]:
        """Return as many as a number in front says of what ``read`` returns."""
        return [read() for _ in range(self.integer())]
