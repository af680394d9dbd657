"""Importing what TVM knows of matrix units, in a tenth of the time that it takes.

Its package defines hundreds of functions for all kinds of devices, each parsed from its
text: half a minute. Schedules for one kind take them from one module of the package.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from tvm import s_tir
from tvm.target import Target

from mlcx.compiler.frames import plain_frames

__all__ = ["load_intrinsics"]

_PACKAGE = "tvm.s_tir.tensor_intrin"
_MODULES = frozenset({"cuda", "metal"})
"""Of the package: one for each kind of target whose schedules import it."""


def load_intrinsics(target: Target) -> None:
    """Import the intrinsics if schedules for ``target`` would."""
    kind = str(target.kind.name)
    name = f"{_PACKAGE}.{kind}"
    if kind not in _MODULES or name in sys.modules:
        return
    if _PACKAGE not in sys.modules:
        sys.modules[_PACKAGE] = _without_content()
    with plain_frames():
        importlib.import_module(name)


def _without_content() -> ModuleType:
    """Return the package as a place of its modules: itself it would import them all."""
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(Path(s_tir.__path__[0]) / "tensor_intrin")]
    return package
