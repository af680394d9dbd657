"""The network of Qwen with experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.qwen_moe import Mixture, is_sparse
from mlcx.nn import causal_lm
from mlcx.nn.causal_lm import CausalLM
from mlcx.nn.layer import PreNormLayer
from mlcx.nn.moe import Experts, Router, mixture, route

__all__ = ["Sizes", "SparseLM", "SparseMLP"]


class Sizes(causal_lm.Sizes, Mixture, Protocol):
    """What a config tells, in Hugging Face's names."""

    @property
    def moe_intermediate_size(self) -> int:
        """Width inside an expert."""

    @property
    def num_experts_per_tok(self) -> int:
        """Experts that a token goes through."""

    @property
    def norm_topk_prob(self) -> bool:
        """Whether a token's weights sum to 1."""


_AnySizes = TypeVar("_AnySizes", bound=Sizes)


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
