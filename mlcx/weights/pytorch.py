"""Reading PyTorch's own files, by PyTorch, in its mode that makes nothing but tensors.

Such a file is a pickle, which can run any code when it is read in another way: there is
none here. PyTorch is an extra that is loaded when there is such a file.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from mlcx.artifact import refuse_pointer
from mlcx.errors import InputError
from mlcx.quant.plain import Array
from mlcx.weights.tensor import SIZES, Tensor

__all__ = ["SUFFIXES", "PytorchData", "read_tensors"]

SUFFIXES = (".bin", ".pt", ".pth")

_OLDEST = (2, 6)
"""Before this version a file could run code in that mode too (CVE-2025-32434)."""

_DTYPES = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
}
"""PyTorch's names of dtypes to those of safetensors."""

assert set(_DTYPES.values()) <= set(SIZES)


def read_tensors(file: Path) -> list[Tensor]:
    """Return the tensors of ``file`` in their order.

    Raises:
        InputError: PyTorch is missing or too old, or the file holds anything else.
    """
    return [
        Tensor(name, file, _dtype(file, name, value), tuple(value.shape), place)
        for place, (name, value) in enumerate(_load(file).items())
    ]


class PytorchData:
    """The data of one of PyTorch's files, mapped to memory."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._data = {name: _bytes(value) for name, value in _load(file).items()}

    def announce(self, tensor: Tensor, offset: int, nbytes: int) -> None:
        """Leave reading ahead to the system, as mapped memory does."""

    def read(self, tensor: Tensor, offset: int, into: memoryview) -> None:
        """Fill ``into`` with the bytes of ``tensor`` from number ``offset`` on."""
        part = self._data[tensor.name][offset : offset + len(into)]
        np.copyto(np.frombuffer(into, np.uint8), part)

    def close(self) -> None:
        """Let go of the file."""
        self._data.clear()


def _load(file: Path) -> dict[str, Any]:
    """Return the tensors of ``file`` by name, mapped to memory."""
    refuse_pointer(file)
    torch = _torch(file)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise InputError.in_file(file, f"cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever a damaged pickle leads to
        reason = str(error).partition("\n")[0]
        message = f"not a file of tensors alone that PyTorch can map ({reason})"
        raise InputError.in_file(file, message) from error
    if not isinstance(found, dict):
        message = f"expected tensors by name, found {type(found).__name__}"
        raise InputError.in_file(file, message)
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            message = f"expected tensors by name, found {type(value).__name__} {name!r}"
            raise InputError.in_file(file, message)
    return found


def _torch(file: Path) -> Any:
    """Return the module of PyTorch.

    Raises:
        InputError: It is missing or too old to be trusted with ``file``.
    """
    way_out = "pip install 'mlcx[torch]', or save the checkpoint as safetensors"
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        message = f"only PyTorch reads this file, and it is not installed: {way_out}"
        raise InputError.in_file(file, message) from error
    version = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    if version < _OLDEST:
        message = f"PyTorch {torch.__version__} can be made to run code by such a file"
        raise InputError.in_file(file, f"{message}: {way_out}")
    return torch


def _dtype(file: Path, name: str, value: Any) -> str:
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        message = f"tensor {name} has the unknown dtype {dtype!r}"
        raise InputError.in_file(file, message)
    return _DTYPES[dtype]


def _bytes(value: Any) -> Array:
    """Return the bytes of a tensor: mapped ones unless they do not lie in one piece."""
    torch = importlib.import_module("torch")
    found: Array = value.contiguous().reshape(-1).view(torch.uint8).numpy()
    return found
