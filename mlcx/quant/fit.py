"""What a scheme asks of a model's architecture and config."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mlcx.architectures.quantizations import refusal
from mlcx.errors import UsageError
from mlcx.quant.mixed import MixedScheme
from mlcx.quant.packing import ConfiguredScheme, Scheme
from mlcx.quant.scheme import SCHEMES

__all__ = ["fit"]


def fit(scheme: Scheme, architecture: ModuleType, config: Any) -> Scheme:
    """Return ``scheme`` for models of ``architecture`` with ``config``.

    Raises:
        UsageError: It is not for them.
    """
    parts = [scheme]
    if isinstance(scheme, MixedScheme):
        parts = [scheme.base, *(part for _, part in scheme.layers)]
    if wrong := refusal(architecture, (part.name for part in parts), SCHEMES):
        raise UsageError(wrong)
    return scheme.configured(config) if isinstance(scheme, ConfiguredScheme) else scheme
