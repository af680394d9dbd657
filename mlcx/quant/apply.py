"""How a scheme changes a model: which layers it touches, and with what.

The rules are those of MLC's converter, so that libraries and weights fit each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tvm.relax.frontend import nn

from mlcx.quant.group import GroupScheme
from mlcx.quant.layers import GroupEmbedding, GroupLinear
from mlcx.quant.scheme import Scheme

__all__ = ["ModelParameter", "build", "parameters"]

_FINAL_FC = frozenset({"head", "lm_head", "lm_head.linear", "embed_out"})
_WIDEST_ROUTER = 256


@dataclass(frozen=True)
class ModelParameter:
    """One parameter of the unquantized model, in the scheme's dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    packing: GroupScheme | None
    """How it is stored packed; None: as it is."""


def build(architecture: ModuleType, config: Any, scheme: Scheme) -> nn.Module:
    """Return the model of ``config`` with its layers as ``scheme`` has them."""
    model = architecture.Model(config, scheme.model_dtype)
    if isinstance(scheme, GroupScheme):
        model = _Quantizer(scheme).visit("", model)
    return model


def parameters(
    architecture: ModuleType, config: Any, scheme: Scheme
) -> list[ModelParameter]:
    """List what a checkpoint must give, in the order of the model's definition."""
    model = architecture.Model(config, scheme.model_dtype)
    packings: dict[str, GroupScheme] = {}
    if isinstance(scheme, GroupScheme):
        chooser = _Quantizer(scheme)
        chooser.visit("", architecture.Model(config, scheme.model_dtype))
        packings = chooser.packings
    return [
        ModelParameter(
            name, tuple(map(int, each.shape)), each.dtype, packings.get(name)
        )
        for name, each in model.named_parameters()
    ]


class _Quantizer(nn.Mutator):
    """Replaces layers by quantized ones; remembers the weights that it replaced."""

    def __init__(self, scheme: GroupScheme) -> None:
        super().__init__()
        self._scheme = scheme
        self.packings: dict[str, GroupScheme] = {}

    def visit_module(self, name: str, node: nn.Module) -> nn.Module:
        if isinstance(node, nn.Linear) and self._takes_linear(name, node):
            self.packings[f"{name}.weight"] = self._scheme
            return GroupLinear(node, self._scheme)
        if isinstance(node, nn.Embedding) and self._scheme.quantize_embedding:
            packing = self.packings[f"{name}.weight"] = self._scheme.by_rows()
            return GroupEmbedding(node, packing)
        return self.visit(name, node)

    def _takes_linear(self, name: str, linear: nn.Linear) -> bool:
        if name in _FINAL_FC:
            return self._scheme.quantize_final_fc
        router = name.endswith("gate") and linear.out_features <= _WIDEST_ROUTER
        return not router
