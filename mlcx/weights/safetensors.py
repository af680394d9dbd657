"""Reading what safetensors files hold.

Knows the file format and nothing of models. A header is checked in full before any data
is read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeGuard

from mlcx.artifact import refuse_pointer
from mlcx.errors import InputError
from mlcx.weights.tensor import SIZES, Tensor

__all__ = ["read_header"]

_LONGEST_HEADER = 100_000_000


def read_header(file: Path) -> list[Tensor]:
    """Return the tensors of ``file`` in the order of their data.

    Raises:
        InputError: The file is not what a safetensors file must be.
    """
    refuse_pointer(file)
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                message = "not a safetensors file, or one cut short within its header"
                raise _damaged(file, message)
            text = stream.read(length)
    except FileNotFoundError as error:
        message = f"cannot be read: {error.strerror}; download it too"
        raise InputError.in_file(file, message) from error
    except OSError as error:
        raise InputError.in_file(file, f"cannot be read: {error.strerror}") from error
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        message = f"not a safetensors file: its header is damaged ({error})"
        raise _damaged(file, message) from error
    if not isinstance(header, dict):
        raise _damaged(file, "not a safetensors file: no object in it")
    header.pop("__metadata__", None)
    tensors = [_tensor(file, 8 + length, *entry) for entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.nbytes))
    _check_tiling(file, tensors, 8 + length, size)
    return tensors


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
    names = ("dtype", "shape", "data_offsets")
    dtype, shape, offsets = (fields.get(each) for each in names)
    if not (
        isinstance(dtype, str)
        and _are_sizes(shape)
        and _are_sizes(offsets)
        and len(offsets) == 2
    ):
        message = f"the header's entry of tensor {name} is damaged: {entry!r}"
        raise _damaged(file, message)
    if dtype not in SIZES:
        known = ", ".join(sorted(SIZES))
        message = f"tensor {name}: expected one of the dtypes {known}, found {dtype!r}"
        raise InputError.in_file(file, message)
    tensor = Tensor(name, file, dtype, tuple(shape), data + offsets[0])
    if offsets[1] - offsets[0] != tensor.nbytes:
        message = (
            f"tensor {name} of shape {shape} and dtype {dtype} takes {tensor.nbytes} "
            f"bytes, but the header gives it {offsets[1] - offsets[0]}"
        )
        raise _damaged(file, message)
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
            raise _damaged(file, message)
        start += tensor.nbytes
    if start != size:
        how = "cut short" if size < start else "too long"
        message = f"is {how}: expected {start} bytes, as its header says, found {size}"
        raise _damaged(file, message)


def _damaged(file: Path, message: str) -> InputError:
    return InputError.in_file(file, f"{message}; download it again")
