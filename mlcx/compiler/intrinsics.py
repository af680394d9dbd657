"""Importing what TVM knows of matrix units, in a hundredth of the time that it takes.

Its package defines hundreds of functions for all kinds of devices, each parsed from its
text: half a minute. Schedules for one kind take them from one module of the package,
and of that a handful: each is parsed when a schedule asks for its group.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from tvm import s_tir
from tvm.s_tir import TensorIntrin
from tvm.script import tirx as script
from tvm.target import Target

from mlcx.compiler.frames import plain_frames

__all__ = ["load_intrinsics"]

_PACKAGE = "tvm.s_tir.tensor_intrin"
_MODULES = frozenset({"cuda", "metal"})
"""Of the package: one for each kind of target whose schedules import it."""
_GROUP = "_intrin_group"
"""Ends the names of functions that say which intrinsics a schedule needs."""

_Parts = tuple[Callable[[], Any], ...]
"""Parse what an intrinsic stands for, and what it is replaced with."""


def load_intrinsics(target: Target) -> None:
    """Import the intrinsics if schedules for ``target`` would."""
    kind = str(target.kind.name)
    name = f"{_PACKAGE}.{kind}"
    if kind not in _MODULES or name in sys.modules:
        return
    if _PACKAGE not in sys.modules:
        sys.modules[_PACKAGE] = _without_content()
    with _unparsed() as found:
        module = importlib.import_module(name)
    for each, value in vars(module).items():
        if each.endswith(_GROUP) and isinstance(value, FunctionType):
            setattr(module, each, _on_demand(value, found))


def _without_content() -> ModuleType:
    """Return the package as a place of its modules: itself it would import them all."""
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(Path(s_tir.__path__[0]) / "tensor_intrin")]
    return package


@contextmanager
def _unparsed() -> Iterator[dict[str, _Parts]]:
    """Let nothing be parsed meanwhile; yield the parts of what is registered."""
    found: dict[str, _Parts] = {}
    parse, register = script.prim_func, TensorIntrin.register

    def later(func: Any = None, **options: Any) -> Any:
        if func is None:
            return functools.partial(later, **options)
        return lambda: parse(**options)(func)

    def note(name: str, *parts: Callable[[], Any]) -> None:
        found[name] = parts

    script.prim_func, TensorIntrin.register = later, staticmethod(note)
    try:
        yield found
    finally:
        script.prim_func, TensorIntrin.register = parse, staticmethod(register)


def _on_demand(
    group: Callable[..., dict[str, Any]], found: dict[str, _Parts]
) -> Callable[..., dict[str, Any]]:
    """Return ``group``, which then registers what it names."""

    @functools.wraps(group)
    def registered(*args: Any, **kwargs: Any) -> dict[str, Any]:
        names = group(*args, **kwargs)
        for name in found.keys() & {n for n in names.values() if isinstance(n, str)}:
            with plain_frames():
                TensorIntrin.register(name, *(part() for part in found[name]))
            del found[name]
        return names

    return registered
