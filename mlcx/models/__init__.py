"""Architectures, one file each, named by the checkpoint's ``model_type``.

``mlcx.architectures`` lists them.

A module of an architecture has ``Config`` (``from_hf``, ``to_dict``), ``Model``,
``weights(config)`` (the parameters' recipes) and ``UNUSED`` (tensors to pass over).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from mlcx.architectures import ARCHITECTURES
from mlcx.errors import UsageError

__all__ = ["architecture"]


def architecture(model_type: str) -> ModuleType:
    """Return the module of ``model_type``.

    Raises:
        UsageError: No such architecture; the message lists those that exist.
    """
    if model_type not in ARCHITECTURES:
        raise UsageError.unknown("model_type", model_type, sorted(ARCHITECTURES))
    return importlib.import_module(ARCHITECTURES[model_type])
