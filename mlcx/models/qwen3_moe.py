"""The network of Qwen 3 with experts."""

from __future__ import annotations

from mlcx.architectures.qwen3_moe import Config
from mlcx.models import qwen3
from mlcx.models.qwen_moe import SparseLM

__all__ = ["Model"]


class Model(SparseLM[Config], qwen3.Model[Config]):
    """The language model, with its cache in ``dtype``."""
