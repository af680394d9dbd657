"""All that the file of a library says: of itself, its models, functions and kernels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mlcx.errors import InputError
from mlcx.library import headers, modules, wasm
from mlcx.library.archive import Member
from mlcx.library.extent import cut_off
from mlcx.library.headers import Header
from mlcx.library.members import members
from mlcx.library.modules import Executable
from mlcx.stamp import Description, find

__all__ = ["Contents", "Model", "Part", "code_of", "read", "tensor_bytes"]

_HOST_FUNCTION = re.compile(rb"\0_?__tvm_ffi_(?!_library_)(\w+)(?=\0)")
"""A symbol, in the table of names that each format has; Mach-O adds an underscore.

WebAssembly, which has none, registers its functions by these names.
"""

_BITS = re.compile(r"(?:int|float)(\d{1,3})")
_BOOL = "bool"


@dataclass(frozen=True)
class Part:
    """One object, or the library itself."""

    name: str
    size: int
    header: Header | None
    """None: it is no compiled code."""
    fault: str = ""
    """That it is cut off; empty: it is whole, as far as can be told."""


@dataclass(frozen=True)
class Model:
    """One model that the library was compiled from; an archive may have several."""

    description: Description
    executable: Executable | None
    """None: it is of a TVM that stores it differently."""
    host_functions: tuple[str, ...]
    """Of the machine that the device is in: on the CPU they are the kernels."""

    @property
    def parameter_bytes(self) -> int | None:
        """Bytes of all weights; None: a size is one that the model's config names."""
        sizes = [tensor_bytes(each) for each in self.description.metadata["params"]]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


@dataclass(frozen=True)
class Contents:
    """A library, taken apart."""

    file: Path
    size: int
    packaging: str
    """``tar`` or ``ar``; empty: it is no archive."""
    parts: tuple[Part, ...]
    models: tuple[Model, ...]


def read(file: Path, *, silent: bool = False) -> Contents:
    """Return what is in a library of any format, without loading it.

    Args:
        file: The library.
        silent: Whether it may say nothing of a model.

    Raises:
        InputError: It cannot be read, or no model is in it.
    """
    packaging, inside = members(file)
    parts = tuple(
        Part(each.name, len(each.data), headers.read(each.data), cut_off(each.data))
        for each in inside
    )
    models = tuple(_models([_image(file, each) for each in inside]))
    if not models and not silent:
        found = f"{code_of(packaging, parts)} and no model"
        message = f"expected a model library of mlcx or MLC LLM, found {found}"
        raise InputError.in_file(file, message)
    return Contents(file, file.stat().st_size, packaging, parts, models)


def _image(file: Path, member: Member) -> bytes:
    """Return the content in which a model's data stands in one piece."""
    if not member.data.startswith(wasm.MAGIC):
        return member.data
    try:
        return wasm.memory(member.data)
    except ValueError as error:
        message = f"{member.name} is damaged: {error}"
        raise InputError.in_file(file, message) from error


def _models(images: Sequence[bytes]) -> Iterator[Model]:
    symbols = (name for image in images for name in _HOST_FUNCTION.findall(image))
    names = sorted({name.decode() for name in symbols})
    found = [each for image in images for each in _described(image)]
    prefixes = {_prefix(description) for description, _ in found}
    for description, executable in found:
        own = _own(_prefix(description), prefixes, names)
        yield Model(description, executable, own)


def _described(image: bytes) -> Iterator[tuple[Description, Executable | None]]:
    descriptions = list(find(image))
    executables: list[Executable | None] = list(modules.find(image))
    if len(executables) != len(descriptions):
        executables = [None] * len(descriptions)
    return zip(descriptions, executables, strict=True)


def _prefix(description: Description) -> str:
    stamp = description.stamp
    return "" if stamp is None else stamp.system_lib_prefix or ""


def _own(
    prefix: str, prefixes: Collection[str], names: Iterable[str]
) -> tuple[str, ...]:
    """Return those of ``names`` whose prefix it is: one may begin with another."""
    longer = tuple(
        each for each in prefixes if each != prefix and each.startswith(prefix)
    )
    mine = (name for name in names if name.startswith(prefix))
    return tuple(name for name in mine if not name.startswith(longer))


def tensor_bytes(tensor: object) -> int | None:
    """Return the bytes of ``tensor``, with its shape and dtype; None: not said."""
    if not isinstance(tensor, dict):
        return None
    shape, dtype = tensor.get("shape"), tensor.get("dtype")
    if not isinstance(shape, list) or not isinstance(dtype, str):
        return None
    bits = 8 if dtype == _BOOL else _bits(dtype)
    if bits is None or not all(type(size) is int for size in shape):
        return None
    return prod(shape) * ((bits + 7) // 8)


def _bits(dtype: str) -> int | None:
    found = _BITS.search(dtype)
    return None if found is None else int(found[1])


def code_of(packaging: str, parts: Iterable[Part]) -> str:
    """Return in words what code a library consists of."""
    kinds = {
        f"{part.header.format} for {part.header.architecture}"
        for part in parts
        if part.header is not None
    }
    inside = " and ".join(sorted(kinds)) or "no compiled code"
    if not packaging:
        return inside
    article = "an" if packaging[0] == "a" else "a"
    return f"{article} {packaging} archive with {inside}"
