"""The token embedding, which may serve as the output head too."""

from __future__ import annotations

from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["Embedding"]


class Embedding(nn.Embedding):  # type: ignore[misc]
    """A table (V, h) read by row, or multiplied with as a tied head."""

    def logits(self, x: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return op.matmul(x, op.permute_dims(self.weight), out_dtype="float32")
