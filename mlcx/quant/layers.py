"""Layers whose weight is stored group-quantized and dequantized where it is used.

They say what is computed, not how: on a device, a pass of the compiler finds the
dequantization by its attributes and puts a fused kernel in its place.
"""

from __future__ import annotations

from tvm import te, tirx
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.quant.group import GroupPacking

__all__ = [
    "BITS",
    "GROUP_SIZE",
    "LAYOUT",
    "GroupEmbedding",
    "GroupLinear",
    "GroupWeight",
]

BITS = "mlcx.bits"
"""Attribute of a dequantizing function: bits of a code."""

GROUP_SIZE = "mlcx.group_size"
"""Attribute of a dequantizing function: elements that share a scale."""

LAYOUT = "mlcx.layout"
"""Attribute of a dequantizing function: NK, or KN when what it reads is transposed."""


class GroupWeight(nn.Module):
    """A weight (..., K) in groups along K: ``q_weight`` and ``q_scale``."""

    def __init__(self, shape: tuple[int, ...], packing: GroupPacking) -> None:
        self.shape = shape
        self.packing = packing
        parts = packing.parts("weight", shape)
        self.q_weight = nn.Parameter(*parts["q_weight"])
        self.q_scale = nn.Parameter(*parts["q_scale"])

    def dequantize(self) -> nn.Tensor:
        """Return the whole weight (..., K) in the model's dtype."""

        def dequantize(words: te.Tensor, scales: te.Tensor) -> te.Tensor:
            return te.compute(
                self.shape,
                lambda *at: self._element(words, scales, at[:-1], at[-1]),
                name="dequantize",
            )

        return self._emit("dequantize", dequantize, [self.q_weight, self.q_scale])

    def take(self, ids: nn.Tensor) -> nn.Tensor:
        """Return the rows (s, K) of a weight (N, K) that ``ids`` (s,) name."""

        def take(words: te.Tensor, scales: te.Tensor, rows: te.Tensor) -> te.Tensor:
            shape = (rows.shape[0], self.shape[-1])
            return te.compute(
                shape, lambda i, k: self._element(words, scales, (rows[i],), k)
            )

        return self._emit("take_rows", take, [self.q_weight, self.q_scale, ids])

    def _element(
        self,
        words: te.Tensor,
        scales: te.Tensor,
        row: tuple[tirx.Expr, ...],
        k: tirx.Expr,
    ) -> tirx.Expr:
        packing = self.packing
        per_word = packing.codes_per_word
        shift = tirx.Cast(packing.storage_dtype, k % per_word * packing.bits)
        mask = tirx.const((1 << packing.bits) - 1, packing.storage_dtype)
        word, group = (*row, k // per_word), (*row, k // packing.group_size)
        if packing.layout == "KN":
            word, group = word[::-1], group[::-1]
        code = tirx.bitwise_and(words[word] >> shift, mask)
        value = code.astype("int32") - tirx.const(packing.max_code, "int32")
        return value.astype(packing.model_dtype) * scales[group]

    def _emit(self, name: str, function: object, args: list[nn.Tensor]) -> nn.Tensor:
        packing = self.packing
        attrs: dict[str, int | str] = {
            BITS: packing.bits,
            GROUP_SIZE: packing.group_size,
            LAYOUT: packing.layout,
        }
        return op.tensor_expr_op(function, name, args, attrs=attrs)


class GroupLinear(GroupWeight):
    """A linear layer (..., K) to (..., N); the bias, if any, is not quantized."""

    def __init__(self, linear: nn.Linear, packing: GroupPacking) -> None:
        super().__init__((linear.out_features, linear.in_features), packing)
        self.out_dtype = linear.out_dtype
        self.bias = linear.bias

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        """Return ``x @ weight.T + bias``."""
        weight = op.permute_dims(self.dequantize())
        y = op.matmul(x, weight, out_dtype=self.out_dtype)
        return y if self.bias is None else y + op.astype(self.bias, y.dtype)


class GroupEmbedding(GroupWeight):
    """A token embedding; may serve as the output head too."""

    def __init__(self, embedding: nn.Embedding, packing: GroupPacking) -> None:
        super().__init__((embedding.num, embedding.dim), packing)

    def forward(self, ids: nn.Tensor) -> nn.Tensor:
        """Token ids (s,) to embeddings (s, h)."""
        return self.take(ids)

    def logits(self, x: nn.Tensor) -> nn.Tensor:
        """Hidden states (..., h) to float32 logits (..., V)."""
        weight = op.permute_dims(self.dequantize())
        return op.matmul(x, weight, out_dtype="float32")
