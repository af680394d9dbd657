"""What the mixtures of experts of Qwen 2 and Qwen 3 share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.models.config import Fields
from mlcx.models.fused import GATE_UP
from mlcx.nn import causal_lm
from mlcx.nn.causal_lm import CausalLM
from mlcx.nn.layer import PreNormLayer
from mlcx.nn.moe import Experts, Router, mixture, route
from mlcx.recipe import Recipe, joined

__all__ = [
    "Sizes",
    "SparseLM",
    "SparseMLP",
    "expert_weights",
    "is_sparse",
    "mixture_fields",
]

_MLP = "model.layers.{i}.mlp."


class Sizes(causal_lm.Sizes, Protocol):
    """What a config tells, in Hugging Face's names."""

    @property
    def moe_intermediate_size(self) -> int:
        """Width inside an expert."""

    @property
    def num_experts(self) -> int:
        """Experts of a layer that has any."""

    @property
    def num_experts_per_tok(self) -> int:
        """Experts that a token goes through."""

    @property
    def norm_topk_prob(self) -> bool:
        """Whether a token's weights sum to 1."""

    @property
    def decoder_sparse_step(self) -> int:
        """n: of every n layers, the last has experts."""

    @property
    def mlp_only_layers(self) -> tuple[int, ...]:
        """Numbers of layers that have none anyway."""


_AnySizes = TypeVar("_AnySizes", bound=Sizes)


def mixture_fields(fields: Fields, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Sizes` that are not read by their types alone."""
    experts = fields.positive(fields.first("num_local_experts", "num_experts"))
    fields.require(
        fields.positive("num_experts_per_tok") <= experts,
        "num_experts_per_tok must not exceed num_experts",
    )
    dense = data.get("mlp_only_layers") or []
    numbers = isinstance(dense, list | tuple) and all(type(n) is int for n in dense)
    fields.require(
        numbers,
        f"'mlp_only_layers': expected a list of layers' numbers, found {dense!r}",
    )
    return {
        "num_experts": experts,
        "decoder_sparse_step": fields.positive("decoder_sparse_step", 1),
        "mlp_only_layers": tuple(dense) if numbers else (),
    }


def is_sparse(config: Sizes, layer: int) -> bool:
    """Say whether layer number ``layer`` has experts."""
    on_step = (layer + 1) % config.decoder_sparse_step == 0
    return on_step and layer not in config.mlp_only_layers


def expert_weights(config: Sizes) -> dict[str, Recipe]:
    """Return the recipes of the feed-forward blocks of all layers."""
    experts = [f"experts.{e}." for e in range(config.num_experts)]
    gates_ups = [f"{e}{part}_proj.weight" for e in experts for part in ("gate", "up")]
    downs = [f"{e}down_proj.weight" for e in experts]
    recipes = joined(_MLP, "moe_gate_up_proj.weight", *gates_ups)
    recipes |= joined(_MLP, "moe_down_proj.weight", *downs)
    sparse = (is_sparse(config, n) for n in range(config.num_hidden_layers))
    return recipes if all(sparse) else recipes | GATE_UP


class SparseMLP(nn.Module):
    """A mixture of experts, under the names of Qwen's."""

    def __init__(self, config: Sizes) -> None:
        hidden, inner = config.hidden_size, config.moe_intermediate_size
        self.chosen = config.num_experts_per_tok
        self.normalized = config.norm_topk_prob
        self.gate = Router(hidden, config.num_experts)
        self.moe_gate_up_proj = Experts(config.num_experts, hidden, 2 * inner)
        self.moe_down_proj = Experts(config.num_experts, inner, hidden, "float32")

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        b, s, h = x.shape
        rows = op.reshape(x, (b * s, h))
        routing = route(self.gate(rows), self.chosen, normalized=self.normalized)
        mixed = mixture(rows, routing, self.moe_gate_up_proj, self.moe_down_proj)
        return op.reshape(mixed, x.shape)


class SparseLM(CausalLM[_AnySizes]):
    """A language model with experts in the layers that the config says."""

    def layers(
        self, config: _AnySizes, norm: Callable[[], nn.Module]
    ) -> list[nn.Module]:
        """Return all new layers."""
        mlps = (
            self.sparse_mlp(config) if is_sparse(config, number) else self.mlp(config)
            for number in range(config.num_hidden_layers)
        )
        return [PreNormLayer(self.attention(config), mlp, norm) for mlp in mlps]

    def sparse_mlp(self, config: _AnySizes) -> SparseMLP:
        """Return the experts of a new layer."""
        return SparseMLP(config)
