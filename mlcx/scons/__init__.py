"""The SCons tool ``mlc``: a spec's jobs as SCons nodes.

The only package that imports SCons. It knows verbs, their inputs and their outputs, and
nothing of how a verb does its work: every step is a process of its own, so that the
process of SCons never loads tvm or numpy.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from typing import Any

__all__ = ["exists", "generate"]

_YOUNG = 100_000
"""Objects after which Python looks for garbage: what a build makes stays to its end."""


def exists(env: Any) -> bool:
    """Tell SCons that the tool can be used."""
    del env
    return True


def generate(env: Any) -> None:
    """Add the methods and construction variables of the tool to ``env``."""
    from mlcx.scons import ending  # noqa: PLC0415 (loads SCons)

    if find_spec("fcntl") is None:
        sys.stderr.write("mlcx: builds run on Linux and macOS: on Windows, in WSL\n")
        ending.refuse(2)
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    from mlcx.scons import tool  # noqa: PLC0415 (most of what there is to load)

    tool.generate(env)
