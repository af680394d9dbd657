"""Drawing tokens from rows of probabilities, and reading back what was drawn.

Sums of a row are taken in float64, so that a vocabulary of any size keeps the draw
exact to the last bit of its float32 probabilities. A token of probability 0 is never
drawn as long as its row has any other.
"""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T

__all__ = ["multinomial_from_uniform", "sample_with_top_p", "sampler_take_probs"]


def multinomial_from_uniform(vocab_size: int) -> tirx.PrimFunc:
    """Return f(probs (B, V) f32, uniform (n,) f32, sample_indices (n,) i32, out (n,)).

    ``out[i]``, int32, is the first token of row ``sample_indices[i]`` at which the
    cumulative probability exceeds ``uniform[i]``; the last possible one if none does.
    """
    V = vocab_size

    @T.prim_func(s_tir=True)
    def multinomial(
        var_probs: T.handle,
        var_uniform: T.handle,
        var_sample_indices: T.handle,
        var_out: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        n = T.int64()
        probs = T.match_buffer(var_probs, (B, V), "float32", elem_offset=T.int64())
        uniform = T.match_buffer(var_uniform, (n,), "float32", elem_offset=T.int64())
        rows = T.match_buffer(var_sample_indices, (n,), "int32", elem_offset=T.int64())
        out = T.match_buffer(var_out, (n,), "int32")
        for i in T.parallel(n):
            row: T.let[T.int32] = rows[i]
            target: T.let[T.float64] = T.Cast("float64", uniform[i])
            reached = T.alloc_buffer((1,), "float64")
            reached[0] = T.float64(0)
            out[i] = 0
            for v in range(V):
                if probs[row, v] > T.float32(0):
                    reached[0] += T.Cast("float64", probs[row, v])
                    out[i] = v
                    if reached[0] > target:
                        break

    return multinomial


def sample_with_top_p(vocab_size: int) -> tirx.PrimFunc:
    """Return the draw from the nucleus of rows sorted by falling probability.

    f(sorted_probs (B, V) f32, sorted_indices (B, V) i32, uniform (n,) f32,
    sample_indices (n,) i32, top_p (B,) f32, out (n,) i32). The nucleus of a row is its
    first token and every token before which less than ``top_p[row]`` has cumulated;
    ``out[i]`` is the original index of the token at which the nucleus, brought to
    mass 1, first exceeds ``uniform[i]``.
    """
    V = vocab_size

    @T.prim_func(s_tir=True)
    def draw_from_nucleus(
        var_sorted_probs: T.handle,
        var_sorted_indices: T.handle,
        var_uniform: T.handle,
        var_sample_indices: T.handle,
        var_top_p: T.handle,
        var_out: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        n = T.int64()
        probs = T.match_buffer(
            var_sorted_probs, (B, V), "float32", elem_offset=T.int64()
        )
        indices = T.match_buffer(
            var_sorted_indices, (B, V), "int32", elem_offset=T.int64()
        )
        uniform = T.match_buffer(var_uniform, (n,), "float32", elem_offset=T.int64())
        rows = T.match_buffer(var_sample_indices, (n,), "int32", elem_offset=T.int64())
        top_p = T.match_buffer(var_top_p, (B,), "float32", elem_offset=T.int64())
        out = T.match_buffer(var_out, (n,), "int32")
        for i in T.parallel(n):
            row: T.let[T.int32] = rows[i]
            limit: T.let[T.float64] = T.Cast("float64", top_p[row])
            mass = T.alloc_buffer((1,), "float64")
            reached = T.alloc_buffer((1,), "float64")
            mass[0] = T.Cast("float64", probs[row, 0])
            for k in range(1, V):
                if mass[0] >= limit or probs[row, k] <= T.float32(0):
                    break
                mass[0] += T.Cast("float64", probs[row, k])
            target: T.let[T.float64] = T.Cast("float64", uniform[i]) * mass[0]
            reached[0] = T.float64(0)
            for k in range(V):
                reached[0] += T.Cast("float64", probs[row, k])
                out[i] = indices[row, k]
                if reached[0] > target or reached[0] >= mass[0]:
                    break

    return draw_from_nucleus


def sampler_take_probs(vocab_size: int) -> tirx.PrimFunc:
    """Return the look-up of the probabilities of drawn tokens and of the likeliest.

    f(probs (B, V) f32, sorted_indices (B, V) i32, sample_indices (n,) i32,
    sampling_result (n,) i32, top_prob_offsets (p,) i32, sampled_probs (n,) f32,
    top_probs (p,) f32, top_indices (p,) i32). An offset is ``row * V + rank``.
    """
    V = vocab_size

    @T.prim_func(s_tir=True)
    def take_probs(
        var_probs: T.handle,
        var_sorted_indices: T.handle,
        var_sample_indices: T.handle,
        var_sampling_result: T.handle,
        var_top_prob_offsets: T.handle,
        var_sampled_probs: T.handle,
        var_top_probs: T.handle,
        var_top_indices: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        n = T.int64()
        p = T.int64()
        probs = T.match_buffer(var_probs, (B, V), "float32", elem_offset=T.int64())
        indices = T.match_buffer(
            var_sorted_indices, (B, V), "int32", elem_offset=T.int64()
        )
        rows = T.match_buffer(var_sample_indices, (n,), "int32", elem_offset=T.int64())
        results = T.match_buffer(
            var_sampling_result, (n,), "int32", elem_offset=T.int64()
        )
        offsets = T.match_buffer(
            var_top_prob_offsets, (p,), "int32", elem_offset=T.int64()
        )
        sampled_probs = T.match_buffer(var_sampled_probs, (n,), "float32")
        top_probs = T.match_buffer(var_top_probs, (p,), "float32")
        top_indices = T.match_buffer(var_top_indices, (p,), "int32")
        for i in range(n):
            sampled_probs[i] = probs[rows[i], results[i]]
        for j in range(p):
            row: T.let[T.int32] = offsets[j] // V
            token: T.let[T.int32] = indices[row, offsets[j] % V]
            top_indices[j] = token
            top_probs[j] = probs[row, token]

    return take_probs
