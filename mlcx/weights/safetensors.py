"""Reading safetensors files: what they hold, and parts of their tensors' data.

Knows the file format and nothing of models. A header is checked in full before any data
is read. Data is read into the caller's memory: unlike with a memory map, a file that
shrinks or a disk that fails gives an error, not a crash, and no pages stay behind.
"""

from __future__ import annotations

import io
import json
import math
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeGuard

import numpy as np

from mlcx.errors import InputError
from mlcx.quant.plain import Array, dtype_named

__all__ = ["READABLE", "Reader", "Tensor", "read_header", "sources_of"]

READABLE = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F8_E4M3": "float8_e4m3fn",
    "I32": "uint32",
    "U32": "uint32",
}
"""The dtypes of tensors that are read, and numpy's names for what they are read as."""

_SIZES = {"F16": 2, "BF16": 2, "I16": 2, "U16": 2, "F32": 4, "I32": 4, "U32": 4}
_SIZES |= {"F64": 8, "I64": 8, "U64": 8, "BOOL": 1, "I8": 1, "U8": 1}
_SIZES |= {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """Where one tensor of a checkpoint lies."""

    name: str
    file: Path
    dtype: str
    """As the file has it: ``F16``, ``BF16``, …"""
    shape: tuple[int, ...]
    start: int
    """Offset of its first byte in the file."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.size * _SIZES[self.dtype]

    @property
    def element(self) -> np.dtype[Any]:
        """The dtype in numpy of a tensor whose ``dtype`` is one of ``READABLE``."""
        return dtype_named(READABLE[self.dtype])


def sources_of(dtype: str) -> tuple[str, ...]:
    """Return what tensors may be that become ``dtype``: it, or any float if it is one.

    But 8-bit floats are only what they are: they mean nothing without their scales.
    """
    floats = ("F16", "BF16", "F32")
    if dtype in {READABLE[name] for name in floats}:
        return floats
    return tuple(name for name, read in READABLE.items() if read == dtype)


class Reader:
    """Reads parts of tensors, from any thread; the files stay open until it is closed.

    Args:
        tensors: What is going to be read.

    Raises:
        InputError: One of their files cannot be opened.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._files: dict[Path, tuple[io.FileIO, threading.Lock]] = {}
        try:
            for file in sorted({tensor.file for tensor in tensors}):
                self._files[file] = (io.FileIO(file), threading.Lock())
        except OSError as error:
            self.close()
            raise _unreadable(file, error) from error

    def read(self, tensor: Tensor, first: int, into: Array) -> None:
        """Fill ``into`` with the elements of ``tensor`` from number ``first`` on.

        Raises:
            InputError: The file cannot be read, or has become shorter.
        """
        rest = into.reshape(-1).view(np.uint8).data
        stream, lock = self._files[tensor.file]
        try:
            with lock:
                stream.seek(tensor.start + first * tensor.element.itemsize)
                while rest:
                    count = stream.readinto(rest)
                    if not count:
                        message = f"ends within {tensor.name}: changed while being read"
                        raise InputError.in_file(tensor.file, message)
                    rest = rest[count:]
        except OSError as error:
            raise _unreadable(tensor.file, error) from error

    def read_columns(self, tensor: Tensor, first: int, into: Array) -> None:
        """Fill ``into`` (rows, n) with columns of ``tensor`` from number ``first`` on.

        Raises:
            InputError: As ``read``.
        """
        for row, part in enumerate(into):
            self.read(tensor, row * tensor.shape[1] + first, part)

    def close(self) -> None:
        """Close the files."""
        for stream, _ in self._files.values():
            stream.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_header(file: Path) -> list[Tensor]:
    """Return the tensors of ``file`` in the order of their data.

    Raises:
        InputError: The file is not what a safetensors file must be.
    """
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                message = "not a safetensors file, or one cut short within its header"
                raise InputError.in_file(file, message)
            text = stream.read(length)
    except OSError as error:
        raise _unreadable(file, error) from error
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        message = f"not a safetensors file: its header is damaged ({error})"
        raise InputError.in_file(file, message) from error
    if not isinstance(header, dict):
        raise InputError.in_file(file, "not a safetensors file: no object in it")
    header.pop("__metadata__", None)
    tensors = [_tensor(file, 8 + length, *entry) for entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.nbytes))
    _check_tiling(file, tensors, 8 + length, size)
    return tensors


def _unreadable(file: Path, error: OSError) -> InputError:
    return InputError.in_file(file, f"cannot be read: {error.strerror}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _tensor(file: Path, data: int, name: str, entry: object) -> Tensor:
    """Return the tensor that a header's ``entry`` describes; data starts at ``data``.

    Raises:
        InputError: The entry is malformed or contradicts itself.
    """
    fields = entry if isinstance(entry, dict) else {}
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        message = f"the header's entry of tensor {name} is damaged: {entry!r}"
        raise InputError.in_file(file, message)
    dtype = fields.get("dtype")
    if dtype not in _SIZES:
        message = f"tensor {name} has the unknown dtype {dtype!r}"
        raise InputError.in_file(file, message)
    tensor = Tensor(name, file, dtype, tuple(shape), data + offsets[0])
    if offsets[1] - offsets[0] != tensor.nbytes:
        message = (
            f"tensor {name} of shape {shape} and dtype {dtype} takes {tensor.nbytes} "
            f"bytes, but the header gives it {offsets[1] - offsets[0]}"
        )
        raise InputError.in_file(file, message)
    return tensor


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(
        isinstance(each, int) and not isinstance(each, bool) and each >= 0
        for each in value
    )


def _check_tiling(file: Path, tensors: list[Tensor], start: int, size: int) -> None:
    """Check that the sorted ``tensors`` fill the file from ``start`` to ``size``."""
    for tensor in tensors:
        if tensor.start != start:
            how = "overlaps another's" if tensor.start < start else "follows a gap"
            message = f"data of tensor {tensor.name} {how}: the header is damaged"
            raise InputError.in_file(file, message)
        start += tensor.nbytes
    if start != size:
        how = "cut short" if size < start else "too long"
        message = f"is {how}: expected {start} bytes, as its header says, found {size}"
        raise InputError.in_file(file, f"{message}; download it again")
