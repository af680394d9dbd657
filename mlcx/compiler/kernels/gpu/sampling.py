"""Drawing tokens from rows of probabilities on the GPU: a block for each draw.

Each thread sums a part of the row, and goes through it again if the draw is in there.
Sums are float32: a draw may fall on a neighbour where the cumulative probability
differs from ``uniform`` by rounding. A token of probability 0 is never drawn as long
as its row has any other.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import Block, block, each
from mlcx.compiler.kernels.gpu.parts import Parts
from mlcx.compiler.kernels.script import array, define, view

__all__ = [
    "multinomial_from_uniform",
    "sample_with_top_p",
    "sampler_take_probs",
]

_NOWHERE = 2**31 - 1
_INFINITY = 3.4028234663852886e38


def multinomial_from_uniform(vocab_size: int) -> tirx.PrimFunc:
    """Return f(probs (B, V) f32, uniform (n,) f32, sample_indices (n,) i32, out (n,)).

    ``out[i]``, int32, is the first token of row ``sample_indices[i]`` at which the
    cumulative probability exceeds ``uniform[i]``; the last possible one if none does.
    """

    def emit() -> None:
        n = T.int64()
        probs = view("probs", (T.int64(), vocab_size), "float32")
        uniform = view("uniform_samples", (n,), "float32")
        rows = view("sample_indices", (n,), "int32")
        out = array("out", (n,), "int32")
        with block(n) as here:
            (i,) = here.at
            row = T.bind(rows[i])
            parts = Parts(here, vocab_size, lambda v: probs[row, v])
            found = here.local("int32", T.int32(_NOWHERE))
            last = here.local("int32", T.int32(0))

            def look(v: Expr, reached: Expr) -> None:
                with T.If(probs[row, v] > T.float32(0)), T.Then():
                    _set(last, v)
                    _set_least(found, v, reached > uniform[i])

            parts.walk(look)
            first = here.reduced(found[0], "int32", T.min)
            otherwise = here.reduced(last[0], "int32", T.max)
            token = T.Select(first == _NOWHERE, otherwise, first)
            here.only_first(lambda: T.buffer_store(out, token, [i]))

    return define("multinomial", emit)


def sample_with_top_p(vocab_size: int) -> tirx.PrimFunc:
    """Return the draw from the nucleus of rows sorted by falling probability.

    f(sorted_probs (B, V) f32, sorted_indices (B, V) i32, uniform (n,) f32,
    sample_indices (n,) i32, top_p (B,) f32, out (n,) i32). The nucleus of a row is its
    first token and every token before which less than ``top_p[row]`` has cumulated;
    ``out[i]`` is the original index of the token at which the nucleus, brought to
    mass 1, first exceeds ``uniform[i]``.
    """

    def emit() -> None:
        b, n = T.int64(), T.int64()
        probs = view("sorted_probs", (b, vocab_size), "float32")
        indices = view("sorted_indices", (b, vocab_size), "int32")
        uniform = view("uniform_samples", (n,), "float32")
        rows = view("sample_indices", (n,), "int32")
        top_p = view("top_p", (b,), "float32")
        out = array("out", (n,), "int32")
        with block(n) as here:
            (i,) = here.at
            row = T.bind(rows[i])
            parts = Parts(here, vocab_size, lambda v: probs[row, v])
            mass = _nucleus(here, parts, top_p[row])
            target = T.bind(uniform[i] * mass)
            found = here.local("int32", T.int32(_NOWHERE))

            def look(v: Expr, reached: Expr) -> None:
                enough = tirx.any(reached > target, reached >= mass)
                _set_least(found, v, enough)

            parts.walk(look)
            rank = here.reduced(found[0], "int32", T.min)
            at = T.Select(rank == _NOWHERE, T.int32(vocab_size - 1), rank)
            here.only_first(lambda: T.buffer_store(out, indices[row, at], [i]))

    return define("draw_from_nucleus", emit)


def _nucleus(here: Block, parts: Parts, limit: Expr) -> Expr:
    """Emit the mass of the nucleus: the first cumulative one of at least ``limit``."""
    least = here.local("float32", T.float32(_INFINITY))

    def look(_: Expr, reached: Expr) -> None:
        with T.If(tirx.all(reached >= limit, reached < least[0])), T.Then():
            T.buffer_store(least, reached, [0])

    parts.walk(look)
    return T.bind(T.min(here.reduced(least[0], "float32", T.min), parts.total))


def sampler_take_probs(vocab_size: int) -> tirx.PrimFunc:
    """Return the look-up of the probabilities of drawn tokens and of the likeliest.

    f(probs (B, V) f32, sorted_indices (B, V) i32, sample_indices (n,) i32,
    sampling_result (n,) i32, top_prob_offsets (p,) i32, sampled_probs (n,) f32,
    top_probs (p,) f32, top_indices (p,) i32). An offset is ``row * V + rank``.
    """

    def emit() -> None:
        b, n, p = T.int64(), T.int64(), T.int64()
        probs = view("unsorted_probs", (b, vocab_size), "float32")
        indices = view("sorted_indices", (b, vocab_size), "int32")
        rows = view("sample_indices", (n,), "int32")
        results = view("sampling_result", (n,), "int32")
        offsets = view("top_prob_offsets", (p,), "int32")
        sampled = array("sampled_probs", (n,), "float32")
        top_probs = array("top_probs", (p,), "float32")
        top_indices = array("top_indices", (p,), "int32")

        def likeliest(j: Expr) -> None:
            row, rank = T.bind(offsets[j] // vocab_size), offsets[j] % vocab_size
            token = T.bind(indices[row, rank])
            T.buffer_store(top_indices, token, [j])
            T.buffer_store(top_probs, probs[row, token], [j])

        each(n, lambda i: T.buffer_store(sampled, probs[rows[i], results[i]], [i]))
        each(p, likeliest)

    return define("take_probs", emit)


def _set(variable: tirx.Buffer, value: Expr) -> None:
    T.buffer_store(variable, T.Cast("int32", value), [0])


def _set_least(variable: tirx.Buffer, value: Expr, condition: Expr) -> None:
    """Keep the first value that meets the condition, values coming in order."""
    with T.If(tirx.all(variable[0] == _NOWHERE, condition)), T.Then():
        _set(variable, value)
