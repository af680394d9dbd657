"""The token embedding, which may serve as the output head too."""

from __future__ import annotations

from tvm import te
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

__all__ = ["Embedding", "take_rows"]


def take_rows(table: nn.Tensor, rows: nn.Tensor) -> nn.Tensor:
    """Return the rows (s, h) of ``table`` (n, h) that ``rows`` (s,) int32 names."""

    def take(table: te.Tensor, rows: te.Tensor) -> te.Tensor:
        shape = (rows.shape[0], table.shape[1])
        return te.compute(shape, lambda i, k: table[rows[i], k], name="take_rows")

    return op.tensor_expr_op(take, "take_rows", [table, rows])


class Embedding(nn.Embedding):
    """A table (V, h) read by row, or multiplied with as a tied head."""

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) int32 to embeddings (s, h)."""
        return take_rows(self.weight, x)

    def logits(self, x: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        return op.matmul(x, op.permute_dims(self.weight), out_dtype="float32")
