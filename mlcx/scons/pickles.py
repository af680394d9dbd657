"""SCons' signatures out of pickles, which here can name nothing but SCons' own classes.

They come with a project that somebody has copied, and a pickle may call what it names.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from SCons.Node import BuildInfoBase

__all__ = ["DamagedError", "entries", "folders"]

_CLASSES = frozenset(
    {
        ("SCons.SConsign", "SConsignEntry"),
        ("SCons.Node.FS", "DirBuildInfo"),
        ("SCons.Node.FS", "DirNodeInfo"),
        ("SCons.Node.FS", "FileBuildInfo"),
        ("SCons.Node.FS", "FileNodeInfo"),
        ("SCons.Node.Alias", "AliasBuildInfo"),
        ("SCons.Node.Alias", "AliasNodeInfo"),
        ("SCons.Node.Python", "ValueBuildInfo"),
        ("SCons.Node.Python", "ValueNodeInfo"),
        ("SCons.SConf", "SConfBuildInfo"),
    }
)
"""Modules and names of what SCons writes of files, and of what they are made of."""


class DamagedError(Exception):
    """A file is not what a build wrote; says why."""


class _Plain(pickle.Unpickler):
    """Takes texts, bytes, numbers and what holds them."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is none of SCons' signatures")


class _Signed(_Plain):
    """Takes what SCons writes of the files of a folder, too."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _CLASSES:
            return pickle.Unpickler.find_class(self, module, name)
        return super().find_class(module, name)


def folders(data: bytes) -> dict[str, bytes]:
    """Return what is kept of the files of each folder.

    Raises:
        DamagedError: ``data`` is something else.
    """
    found = _loaded(_Plain, data)
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, bytes):
            raise DamagedError("is damaged")
    return found


def entries(data: bytes) -> dict[str, Any]:
    """Return what is kept of each file, by its name in the folder.

    Raises:
        DamagedError: ``data`` is something else.
    """
    found = _loaded(_Signed, data)
    for key, value in found.items():
        known = isinstance(getattr(value, "binfo", None), BuildInfoBase)
        if not isinstance(key, str) or not known:
            raise DamagedError("is damaged")
    return found


def _loaded(kind: type[_Plain], data: bytes) -> dict[Any, Any]:
    try:
        found = kind(io.BytesIO(data)).load()
    except Exception as error:  # what is no pickle may raise anything
        raise DamagedError("is damaged") from error
    if not isinstance(found, dict):
        raise DamagedError("is damaged")
    return found
