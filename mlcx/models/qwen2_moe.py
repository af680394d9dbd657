"""The network of Qwen 2 with experts."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.architectures.qwen2_moe import Config
from mlcx.models import qwen2
from mlcx.models.qwen_moe import SparseLM, SparseMLP
from mlcx.nn.mlp import GatedMLP

__all__ = ["Model", "SharedMLP"]


class SharedMLP(SparseMLP):
    """With an expert for all tokens, of which each takes a share of its own."""

    def __init__(self, config: Config) -> None:
        hidden = config.hidden_size
        self.shared_expert = GatedMLP(hidden, config.shared_expert_intermediate_size)
        self.shared_expert_gate = nn.Linear(hidden, 1, bias=False)
        super().__init__(config)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Map ``x`` (b, s, h) to (b, s, h)."""
        share = op.sigmoid(self.shared_expert_gate(x))
        return super().forward(x) + share * self.shared_expert(x)


class Model(SparseLM[Config], qwen2.Model[Config]):
    """The language model, with its cache in ``dtype``."""

    def sparse_mlp(self, config: Config) -> SharedMLP:
        """Return the experts of a new layer."""
        return SharedMLP(config)
