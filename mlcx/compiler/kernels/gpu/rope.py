"""Rotary position embedding on the GPU: a thread for each element.

Frequencies come as a tensor, so that every scaling of them is the same kernel.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.gpu.rotated import rotated
from mlcx.compiler.kernels.rotation import Rotation
from mlcx.compiler.kernels.script import array, define, scalar, view

__all__ = ["join_rotary", "split_heads", "split_rotary"]


def split_rotary(
    num_q_heads: int, num_kv_heads: int, head_dim: int, rotation: Rotation, dtype: str
) -> tirx.PrimFunc:
    """Return the kernel that splits fused heads and rotates queries and keys.

    f(qkv (t, q+2kv, d), positions (t,) int32, q (t, q, d), k (t, kv, d), v (t, kv, d),
    frequencies (pairs,) float32): copies the dimensions beyond the pairs.
    """
    hq, hkv, d = num_q_heads, num_kv_heads, head_dim

    def emit() -> None:
        t = T.int64()
        qkv = array("qkv", (t, hq + 2 * hkv, d), dtype)
        positions = view("positions", (t,), "int32")
        q, k, v = _heads(t, hq, hkv, d, dtype)
        rates = view("frequencies", (rotation.half,), "float32")

        def element(i: Expr) -> None:
            s, h, at = _place(i, hq + 2 * hkv, d)
            with T.If(h < hq + hkv):
                with T.Then():
                    value = _rotated(qkv, (s, h), at, positions[s], rates, rotation)
                    _store(value, (s, h, at), q, k, hq)
                with T.Else():
                    T.buffer_store(v, qkv[s, h, at], [s, h - (hq + hkv), at])

        each(t * ((hq + 2 * hkv) * d), element)

    return define("kv_split_rotary", emit)


def split_heads(
    num_q_heads: int, num_kv_heads: int, head_dim: int, dtype: str
) -> tirx.PrimFunc:
    """Return `split_rotary` that does not rotate; the last argument, int64, is idle."""
    hq, hkv, d = num_q_heads, num_kv_heads, head_dim

    def emit() -> None:
        t = T.int64()
        qkv = array("qkv", (t, hq + 2 * hkv, d), dtype)
        view("positions", (t,), "int32")
        q, k, v = _heads(t, hq, hkv, d, dtype)
        scalar("apply", "int64")

        def element(i: Expr) -> None:
            s, h, at = _place(i, hq + 2 * hkv, d)
            with T.If(h < hq + hkv):
                with T.Then():
                    _store(qkv[s, h, at], (s, h, at), q, k, hq)
                with T.Else():
                    T.buffer_store(v, qkv[s, h, at], [s, h - (hq + hkv), at])

        each(t * ((hq + 2 * hkv) * d), element)

    return define("kv_split", emit)


def join_rotary(
    num_q_heads: int, num_kv_heads: int, head_dim: int, rotation: Rotation, dtype: str
) -> tirx.PrimFunc:
    """Return the kernel that rotates queries and keys, and fuses heads.

    f(q (t, q, d), k (t, kv, d), v (t, kv, d), positions (t,) int32,
    frequencies (pairs,) float32, qkv (t, q+2kv, d)).
    """
    hq, hkv, d = num_q_heads, num_kv_heads, head_dim

    def emit() -> None:
        t = T.int64()
        q, k, v = _heads(t, hq, hkv, d, dtype)
        positions = view("positions", (t,), "int32")
        rates = view("frequencies", (rotation.half,), "float32")
        qkv = array("qkv", (t, hq + 2 * hkv, d), dtype)

        def element(i: Expr) -> None:
            s, h, at = _place(i, hq + 2 * hkv, d)
            angle = (at, positions[s], rates, rotation)
            with T.If(h < hq):
                with T.Then():
                    T.buffer_store(qkv, _rotated(q, (s, h), *angle), [s, h, at])
                with T.Else(), T.If(h < hq + hkv):
                    with T.Then():
                        key = _rotated(k, (s, h - hq), *angle)
                        T.buffer_store(qkv, key, [s, h, at])
                    with T.Else():
                        T.buffer_store(qkv, v[s, h - (hq + hkv), at], [s, h, at])

        each(t * ((hq + 2 * hkv) * d), element)

    return define("join_rotary", emit)


def _heads(
    t: Expr, hq: int, hkv: int, d: int, dtype: str
) -> tuple[tirx.Buffer, tirx.Buffer, tirx.Buffer]:
    """Declare q, k and v."""
    q = array("q", (t, hq, d), dtype)
    k = array("k", (t, hkv, d), dtype)
    return q, k, array("v", (t, hkv, d), dtype)


def _place(i: Expr, heads: int, d: int) -> tuple[Expr, Expr, Expr]:
    """Return token, head and dimension of element ``i`` of (t, heads, d)."""
    return T.bind(i // (heads * d)), T.bind(i // d % heads), T.bind(i % d)


def _store(
    value: Expr, at: tuple[Expr, Expr, Expr], q: tirx.Buffer, k: tirx.Buffer, hq: int
) -> None:
    s, h, d = at
    with T.If(h < hq):
        with T.Then():
            T.buffer_store(q, value, [s, h, d])
        with T.Else():
            T.buffer_store(k, value, [s, h - hq, d])


def _rotated(
    x: tirx.Buffer,
    head: tuple[Expr, Expr],
    at: Expr,
    position: Expr,
    rates: tirx.Buffer,
    rotation: Rotation,
) -> Expr:
    """Return element ``at`` of a head, rotated where it is in a pair."""

    def read(i: Expr) -> Expr:
        return x[(*head, i)].astype("float32")

    value = rotated(read, at, position, rotation, lambda pair: rates[pair])
    return value.astype(x.dtype)
