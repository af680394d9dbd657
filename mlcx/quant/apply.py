"""How a scheme changes a model: each layer that it packs is replaced by one of a kind.

The rules are those of MLC's converter, so that libraries and weights fit each other.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tvm.relax.frontend import nn

from mlcx.models import network
from mlcx.nn.moe import Experts, Router
from mlcx.quant.fit import fit
from mlcx.quant.mixed import MixedScheme
from mlcx.quant.packing import Layer, Packing, Role, Scheme

__all__ = ["LAYERS", "ModelParameter", "build", "layers", "parameters"]

LAYERS: dict[tuple[str, Role], tuple[str, str]] = {
    ("group", "linear"): ("mlcx.quant.layers", "GroupLinear"),
    ("group", "embedding"): ("mlcx.quant.layers", "GroupEmbedding"),
    ("awq", "linear"): ("mlcx.quant.awq_layers", "AwqLinear"),
    ("block_scale", "linear"): ("mlcx.quant.fp8_layers", "BlockScaleLinear"),
    ("fp8", "linear"): ("mlcx.quant.fp8_layers", "Fp8Linear"),
    ("ft", "linear"): ("mlcx.quant.ft_layers", "FtLinear"),
    ("group", "experts"): ("mlcx.quant.experts", "GroupExperts"),
    ("block_scale", "experts"): ("mlcx.quant.fp8_layers", "BlockScaleExperts"),
    ("fp8", "experts"): ("mlcx.quant.fp8_layers", "Fp8Experts"),
}
"""A packing's kind and a layer's role to the module and class that take its place.

Nothing is imported before it is asked. A class is called with the layer that it
replaces and the packing.
"""

_ROLES: tuple[tuple[type[nn.Module], Role], ...] = (
    (Router, "router"),
    (nn.Linear, "linear"),
    (nn.Embedding, "embedding"),
    (Experts, "experts"),
)
"""Classes of layers that a scheme looks at; of two that fit, the first counts."""


@dataclass(frozen=True)
class ModelParameter:
    """What a checkpoint must give for a parameter of the model."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    packing: Packing | None
    """How it is stored packed; None: as it is."""


def build(architecture: ModuleType, config: Any, scheme: Scheme) -> nn.Module:
    """Return the model of ``config`` with its layers as ``scheme`` has them.

    Raises:
        UsageError: The scheme is not for this architecture or config, or a pattern of
            a mixed one matches no layer.
    """
    return _quantized(architecture, config, scheme)[0]


def layers(architecture: ModuleType, config: Any, scheme: Scheme) -> list[Layer]:
    """List what ``scheme`` may touch, in the order of the model's definition.

    Raises:
        UsageError: The scheme is not for this architecture or config, or a pattern of
            a mixed one matches no layer.
    """
    return list(_quantized(architecture, config, scheme)[1])


def parameters(
    architecture: ModuleType, config: Any, scheme: Scheme
) -> list[ModelParameter]:
    """List what a checkpoint must give, in the order of the model's definition.

    Raises:
        UsageError: The scheme is not for this architecture or config, or a pattern of
            a mixed one matches no layer.
    """
    _, found = _quantized(architecture, config, scheme)
    packings = {layer.weight: packing for layer, packing in found.items()}
    model = network(architecture, config, scheme.model_dtype)
    return [
        ModelParameter(
            name, tuple(map(int, each.shape)), each.dtype, packings.get(name)
        )
        for name, each in model.named_parameters()
    ]


def _quantized(
    architecture: ModuleType, config: Any, scheme: Scheme
) -> tuple[nn.Module, dict[Layer, Packing | None]]:
    """Return the quantized model, and all layers with how each is packed."""
    scheme = fit(scheme, architecture, config)
    quantizer = _Quantizer(scheme)
    model = quantizer.visit("", network(architecture, config, scheme.model_dtype))
    if isinstance(scheme, MixedScheme):
        scheme.check(list(quantizer.packings))
    return model, quantizer.packings


class _Quantizer(nn.Mutator):
    """Replaces layers by quantized ones; remembers what it found and did."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self._scheme = scheme
        self.packings: dict[Layer, Packing | None] = {}

    def visit_module(self, name: str, node: nn.Module) -> nn.Module:
        role = next((role for kind, role in _ROLES if isinstance(node, kind)), None)
        if role is None:
            return self.visit(name, node)
        shape = tuple(map(int, node.weight.shape))
        out_dtype = node.out_dtype if isinstance(node, nn.Linear) else None
        layer = Layer(name, role, shape, out_dtype)
        packing = self.packings[layer] = self._scheme.packing(layer)
        if packing is None:
            return node
        packing.parts(layer.weight, shape)  # refuses by name what it cannot hold
        return _packed(node, role, packing)


def _packed(node: nn.Module, role: Role, packing: Packing) -> nn.Module:
    module, name = LAYERS[packing.kind, role]
    replacement: nn.Module = vars(importlib.import_module(module))[name](node, packing)
    return replacement
