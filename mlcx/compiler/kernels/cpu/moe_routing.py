"""Which experts each token goes through, and its pairs sorted by expert.

See ``nn/moe.py`` for what pairs are.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.cpu.exp import exp
from mlcx.compiler.kernels.script import array, define, parallel_from

__all__ = ["routing"]

_PARALLEL_SCORES = 1 << 14
"""From as many on, all threads choose."""


def routing(experts: int, chosen: int, *, normalized: bool) -> tirx.PrimFunc:
    """Return f(logits (t, E), weights (t, k), order (t, k), starts (E + 1,)).

    Logits and weights are float32, the others int32. Whatever the logits are, each
    token gets ``chosen`` experts that differ.
    """

    def emit() -> None:
        t = T.int64()
        logits = array("logits", (t, experts), "float32")
        weights = array("weights", (t, chosen), "float32")
        order = array("order", (t, chosen), "int32")
        starts = array("starts", (experts + 1,), "int32")
        choice = T.alloc_buffer((t, chosen), "int32")

        def token(m: Expr) -> None:
            _choose(logits, choice, m)
            _weigh(logits, choice, weights, m, normalized=normalized)

        parallel_from(max(2, _PARALLEL_SCORES // experts), t, token)
        _sort(choice, order, starts)

    return define("moe_routing", emit)


def _choose(logits: tirx.Buffer, choice: tirx.Buffer, m: Expr) -> None:
    """Write the experts of token ``m``, the likeliest first."""
    experts, chosen = int(logits.shape[1]), int(choice.shape[1])
    free = T.alloc_buffer((experts,), "int32")
    best = T.alloc_buffer((1,), "int32")
    with T.serial(experts) as e:
        T.buffer_store(free, T.int32(1), [e])
    with T.serial(chosen) as s:
        T.buffer_store(best, T.int32(-1), [0])
        with T.serial(experts) as e:
            # No comparison with NaN holds: the first that is free is taken anyway.
            rival = logits[m, T.max(best[0], 0)]
            better = T.Or(best[0] < 0, logits[m, e] > rival)
            with T.If(T.And(free[e] != 0, better)), T.Then():
                T.buffer_store(best, e.astype("int32"), [0])
        T.buffer_store(free, T.int32(0), [best[0]])
        T.buffer_store(choice, best[0], [m, s])


def _weigh(
    logits: tirx.Buffer,
    choice: tirx.Buffer,
    weights: tirx.Buffer,
    m: Expr,
    *,
    normalized: bool,
) -> None:
    """Write the weights of token ``m``."""
    experts, chosen = int(logits.shape[1]), int(choice.shape[1])
    peak = T.bind(logits[m, choice[m, 0]])
    total = T.alloc_buffer((1,), "float32")

    def likelihood(expert: Expr) -> Expr:
        return exp(logits[m, expert] - peak)

    T.buffer_store(total, T.float32(0), [0])
    with T.serial(chosen if normalized else experts) as i:
        expert = choice[m, i] if normalized else i
        T.buffer_store(total, total[0] + likelihood(expert), [0])
    with T.serial(chosen) as s:
        T.buffer_store(weights, likelihood(choice[m, s]) / total[0], [m, s])


def _sort(choice: tirx.Buffer, order: tirx.Buffer, starts: tirx.Buffer) -> None:
    """Write the pairs' order by counting how many each expert has."""
    tokens, chosen = choice.shape
    experts = int(starts.shape[0]) - 1
    place = T.alloc_buffer((experts,), "int32")
    with T.serial(experts + 1) as e:
        T.buffer_store(starts, T.int32(0), [e])
    with T.serial(tokens) as m, T.serial(chosen) as s:
        after = T.bind(choice[m, s] + 1)
        T.buffer_store(starts, starts[after] + 1, [after])
    with T.serial(experts) as e:
        T.buffer_store(place, starts[e], [e])
        T.buffer_store(starts, starts[e + 1] + starts[e], [e + 1])
    with T.serial(tokens) as m, T.serial(chosen) as s:
        expert = T.bind(choice[m, s])
        at = T.bind(place[expert].astype("int64"))
        pair = (m * chosen + s).astype("int32")
        T.buffer_store(order, pair, [at // chosen, at % chosen])
        T.buffer_store(place, place[expert] + 1, [expert])
