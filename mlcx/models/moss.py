"""The network of MOSS and CodeGen."""

from __future__ import annotations

from mlcx.models.gptj import Model

__all__ = ["Model"]
