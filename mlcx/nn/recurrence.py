"""Operators that go through the tokens of each sequence in order.

Rows are the tokens of all sequences of a forward, one sequence after the other: s rows
in all. ``ends`` (b,) int32 has the row of each sequence's last token, so each sequence
starts at the row after the end of the one before.

They are placeholders, which ``passes/recurrence.py`` replaces.
"""

from __future__ import annotations

from typing import NamedTuple

from tvm import relax, te
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from mlcx.nn.placeholder import placeholder

__all__ = [
    "SHIFT",
    "WKV5",
    "WKV6",
    "Wkv",
    "every_row",
    "last_row",
    "token_shift",
    "wkv5",
    "wkv6",
]

SHIFT = "mlcx.token_shift"
WKV5 = "mlcx.wkv5"
WKV6 = "mlcx.wkv6"


def last_row(x: nn.Tensor) -> nn.Tensor:
    """Return the ends (1,) of a single sequence that has all rows of ``x`` (s, h)."""

    def last(x: te.Tensor) -> te.Tensor:
        return te.compute((1,), lambda _: (x.shape[0] - 1).astype("int32"), name="last")

    return op.tensor_expr_op(last, "last_row", [x])


def every_row(x: nn.Tensor) -> nn.Tensor:
    """Return the ends (b,) of sequences that have one row of ``x`` (b, h) each."""

    def every(x: te.Tensor) -> te.Tensor:
        return te.compute((x.shape[0],), lambda i: i.astype("int32"), name="every")

    return op.tensor_expr_op(every, "every_row", [x])


def token_shift(x: nn.Tensor, before: nn.Tensor, ends: nn.Tensor) -> nn.Tensor:
    """Return (s, h), in each row the row of ``x`` (s, h) before it in its sequence.

    ``before`` (b, h) has what goes to each sequence's first row.
    """
    out = relax.TensorType(x.shape, x.dtype)
    return placeholder(SHIFT, [x, before, ends], out, "token_shift")


class Wkv(NamedTuple):
    """What linear attention takes of each token, (s, heads * n), and of each head."""

    receptance: nn.Tensor
    key: nn.Tensor
    value: nn.Tensor
    decay: nn.Tensor
    """float32: of each token for `wkv6`, of each head for `wkv5`, (heads, n)."""
    bonus: nn.Tensor
    """(heads, n) float32, for the token itself."""


def wkv5(x: Wkv, before: nn.Tensor, ends: nn.Tensor) -> tuple[nn.Tensor, nn.Tensor]:
    """Attend linearly; a channel of the state is kept by its decay, from 0 to 1.

    With a head's state S (n, n), keys by values, for each token (Peng et al., "Eagle
    and Finch", arXiv:2404.05892, section 4)::

        out = r @ (S + (u * k) v'),    S = w * S + k v'

    Args:
        x: r, k, v, w and u.
        before: (b, heads, n, n) float32, each sequence's state.
        ends: As the module says.

    Returns:
        out (s, heads * n) and the states after it, both float32.
    """
    return _wkv(WKV5, "wkv5", x, before, ends)


def wkv6(x: Wkv, before: nn.Tensor, ends: nn.Tensor) -> tuple[nn.Tensor, nn.Tensor]:
    """Attend as `wkv5`; a token with decay w keeps a channel by exp(-exp(w))."""
    return _wkv(WKV6, "wkv6", x, before, ends)


def _wkv(
    function: str, name: str, x: Wkv, before: nn.Tensor, ends: nn.Tensor
) -> tuple[nn.Tensor, nn.Tensor]:
    both = [
        relax.TensorType(x.key.shape, "float32"),
        relax.TensorType(before.shape, "float32"),
    ]
    out, after = placeholder(function, [*x, before, ends], both, name)
    return out, after
