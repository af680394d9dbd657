"""Mixtures of experts on the GPU: choosing experts, and summing what they make.

A *pair* is a token and one of its k experts, as in ``nn/moe.py``. Here ``order`` is
not the order of the pairs but the expert of each, which is what a product for pairs
one by one asks; nothing else reads it, and ``starts`` nothing at all.
"""

from __future__ import annotations

from tvm import te, tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.script import array, define, places

__all__ = ["PAIRS", "combination", "pairs_matmul", "routing"]

PAIRS = "pairs"
"""Name of the block that sums in the function that ``pairs_matmul`` returns."""


def routing(experts: int, chosen: int, *, normalized: bool) -> tirx.PrimFunc:
    """Return f(logits (t, E), weights (t, k), order (t, k), starts (E + 1,)).

    Logits and weights are float32, the others int32. Of experts as likely as each
    other the first are taken. ``order`` gets each pair's expert, ``starts`` nothing.
    """

    def emit() -> None:
        t = T.int64()
        logits = array("logits", (t, experts), "float32")
        weights = array("weights", (t, chosen), "float32")
        order = array("order", (t, chosen), "int32")
        array("starts", (experts + 1,), "int32")

        def token(m: Expr) -> None:
            with T.serial(chosen) as place:
                best = T.alloc_buffer((1,), "int32", scope="local")
                T.buffer_store(best, T.int32(-1), [0])
                with T.serial(experts) as e:
                    taken = T.alloc_buffer((1,), "int32", scope="local")
                    T.buffer_store(taken, T.int32(0), [0])
                    with T.serial(place) as earlier:
                        same = order[m, earlier] == e.astype("int32")
                        with T.If(same), T.Then():
                            T.buffer_store(taken, T.int32(1), [0])
                    # No comparison with NaN holds: the first free is taken anyway.
                    rival = logits[m, T.max(best[0], 0)]
                    better = tirx.any(best[0] < 0, logits[m, e] > rival)
                    with T.If(tirx.all(taken[0] == 0, better)), T.Then():
                        T.buffer_store(best, e.astype("int32"), [0])
                T.buffer_store(order, best[0], [m, place])
            total = T.alloc_buffer((1,), "float32", scope="local")
            T.buffer_store(total, T.float32(0), [0])
            with T.serial(chosen if normalized else experts) as i:
                expert = order[m, i] if normalized else i
                share = T.exp(logits[m, expert] - logits[m, order[m, 0]])
                T.buffer_store(total, total[0] + share, [0])
            with T.serial(chosen) as place:
                share = T.exp(logits[m, order[m, place]] - logits[m, order[m, 0]])
                T.buffer_store(weights, share / total[0], [m, place])

        each(t, token)

    return define("moe_routing", emit)


def combination(chosen: int, width: int, dtype: str) -> tirx.PrimFunc:
    """Return f(weights (t, k), parts (t * k, width), out (t, width)).

    Weights and parts are float32.
    """

    def emit() -> None:
        t = T.int64()
        weights = array("weights", (t, chosen), "float32")
        parts = array("parts", (t * chosen, width), "float32")
        out = array("out", (t, width), dtype)

        def element(index: Expr) -> None:
            m, at = places(index, [t, width])
            total = T.alloc_buffer((1,), "float32", scope="local")
            T.buffer_store(total, T.float32(0), [0])
            with T.serial(chosen) as s:
                share = weights[m, s] * parts[m * chosen + s, at]
                T.buffer_store(total, total[0] + share, [0])
            T.buffer_store(out, total[0].astype(dtype), [m, at])

        each(t * width, element)

    return define("moe_combine", emit)


def pairs_matmul(
    tokens: int | None,
    chosen: int,
    shape: tuple[int, int, int],
    spread: bool,
    dtypes: tuple[str, str, str],
) -> tirx.PrimFunc:
    """Return f(x (m, K), order (t, k), weight (E, N, K), out (t * k, N)), unscheduled.

    Each pair's row of ``x`` times its expert's weight. With ``spread`` m is t, a row
    for all pairs of a token, else t * k. Sums are float32; ``dtypes`` are those of x,
    weight and out, ``tokens`` is t, or None if that is known when it runs.
    """
    experts, n, k = (tirx.IntImm("int64", size) for size in shape)
    t = tirx.Var("tokens", "int64") if tokens is None else tirx.IntImm("int64", tokens)
    each_token = tirx.IntImm("int64", chosen)
    pairs = t * each_token
    x = te.placeholder((t if spread else pairs, k), dtypes[0], name="x")
    order = te.placeholder((t, each_token), "int32", name="order")
    weight = te.placeholder((experts, n, k), dtypes[1], name="weight")
    axis = te.reduce_axis((0, k), name="k")

    def product(i: tirx.Var, j: tirx.Var) -> tirx.Expr:
        expert = order[i // each_token, i % each_token]
        row = x[i // each_token if spread else i, axis].astype("float32")
        return te.sum(row * weight[expert, j, axis].astype("float32"), axis=axis)

    out = te.compute((pairs, n), product, name=PAIRS)
    if dtypes[2] != "float32":
        sums = out
        out = te.compute(
            (pairs, n), lambda i, j: sums[i, j].astype(dtypes[2]), name="rounded"
        )
    return te.create_prim_func([x, order, weight, out])
