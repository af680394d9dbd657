"""Output heads: hidden states to float32 logits."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["BiasedHead", "soft_capped"]


def soft_capped(logits: nn.Tensor, cap: float | None) -> nn.Tensor:
    """Return ``cap * tanh(logits / cap)``, or without a cap the logits."""
    return logits if cap is None else op.tanh(logits / cap) * cap


class BiasedHead(nn.Linear):
    """A linear layer to float32 whose bias, unlike ``nn.Linear``'s, has its dtype."""

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__(hidden_size, vocab_size)
        self.out_dtype = "float32"

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        y = op.matmul(x, op.permute_dims(self.weight), out_dtype=self.out_dtype)
        return y + op.astype(self.bias, self.out_dtype)

    def to(self, dtype: str | None = None) -> None:
        """Keep weight and bias in ``dtype``."""
        self.weight.to(dtype)
        self.bias.to(dtype)
