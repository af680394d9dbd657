"""Reading parts of tensors' data, into the caller's memory.

Unlike with a memory map, a file that shrinks or a disk that fails gives an error, not a
crash, and no pages stay behind; only PyTorch's own files are mapped, by PyTorch.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from mlcx.errors import InputError
from mlcx.quant.plain import Array
from mlcx.weights.pytorch import SUFFIXES, PytorchData
from mlcx.weights.tensor import Tensor

__all__ = ["Reader"]


class _Data(Protocol):
    """The data of one file, for any thread."""

    def announce(self, tensor: Tensor, offset: int, nbytes: int) -> None:
        """Say that ``nbytes`` from number ``offset`` on will be read soon."""

    def read(self, tensor: Tensor, offset: int, into: memoryview) -> None:
        """Fill ``into`` with the bytes of ``tensor`` from number ``offset`` on."""

    def close(self) -> None:
        """Close the file."""


class Reader:
    """Reads parts of tensors, from any thread; the files stay open until it is closed.

    Args:
        tensors: What is going to be read.

    Raises:
        InputError: One of their files cannot be opened.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._files: dict[Path, _Data] = {}
        try:
            for file in sorted({tensor.file for tensor in tensors}):
                kind = PytorchData if file.suffix in SUFFIXES else _Stream
                self._files[file] = kind(file)
        except InputError:
            self.close()
            raise

    def announce(self, tensor: Tensor, first: int, size: int) -> None:
        """Say that ``size`` elements from number ``first`` on will be read soon.

        The disk then works while others are converted.
        """
        itemsize = tensor.element.itemsize
        self._files[tensor.file].announce(tensor, first * itemsize, size * itemsize)

    def read(self, tensor: Tensor, first: int, into: Array) -> None:
        """Fill ``into`` with the elements of ``tensor`` from number ``first`` on.

        Raises:
            InputError: The file cannot be read, or has become shorter.
        """
        data = into.reshape(-1).view(np.uint8).data
        offset = first * tensor.element.itemsize
        self._files[tensor.file].read(tensor, offset, data)

    def read_columns(self, tensor: Tensor, first: int, into: Array) -> None:
        """Fill ``into`` (rows, n) with columns of ``tensor`` from number ``first`` on.

        Raises:
            InputError: As ``read``.
        """
        for row, part in enumerate(into):
            self.read(tensor, row * tensor.shape[1] + first, part)

    def close(self) -> None:
        """Close the files."""
        for data in self._files.values():
            data.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Stream:
    """A file whose tensors lie at offsets."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._stream = io.FileIO(file)
        except OSError as error:
            raise self._unreadable(error) from error

    def announce(self, tensor: Tensor, offset: int, nbytes: int) -> None:
        if sys.platform == "linux":
            place, advice = tensor.start + offset, os.POSIX_FADV_WILLNEED
            os.posix_fadvise(self._stream.fileno(), place, nbytes, advice)

    def read(self, tensor: Tensor, offset: int, into: memoryview) -> None:
        try:
            place = tensor.start + offset
            while into:
                # At a place of its own, so that threads need not wait for each other.
                count = os.preadv(self._stream.fileno(), [into], place)
                if not count:
                    message = f"ends within {tensor.name}: changed while being read"
                    raise InputError.in_file(self._file, message)
                into, place = into[count:], place + count
        except OSError as error:
            raise self._unreadable(error) from error

    def close(self) -> None:
        self._stream.close()

    def _unreadable(self, error: OSError) -> InputError:
        return InputError.in_file(self._file, f"cannot be read: {error.strerror}")
