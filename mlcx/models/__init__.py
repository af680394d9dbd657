"""The networks of architectures, one file each, under their names there.

A module has ``Model(config, dtype)``, made of the blocks of ``mlcx.nn``.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

__all__ = ["network"]


def network(architecture: ModuleType, config: Any, dtype: str) -> Any:
    """Return the network of ``config``, a config of ``architecture``, in ``dtype``."""
    name = architecture.__name__.rpartition(".")[2]
    return importlib.import_module(f"mlcx.models.{name}").Model(config, dtype)
