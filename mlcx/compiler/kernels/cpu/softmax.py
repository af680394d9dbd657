"""Softmax over a vocabulary, with a temperature for each row.

One pass over chunks keeps each chunk's own maximum and sum (the online softmax of
Milakov and Gimelshein, arXiv:1805.02867); a second one brings the chunks to one scale.
Each exponential is taken once. A row with a temperature of next to nothing becomes
the indicator of its maximum.
"""

from __future__ import annotations

import math

from tvm import ir, tirx
from tvm.script import tirx as T

from mlcx.compiler.kernels.cpu.exp import exp2
from mlcx.compiler.kernels.limits import CHUNK, COLDEST, LOWEST

__all__ = ["softmax_with_temperature"]

_LOG2_E = math.log2(math.e)


def _weight(x: ir.Expr, peak: ir.Expr, temperature: ir.Expr) -> ir.Expr:
    """Return exp((x - peak) / temperature), or without heat whether x is the peak."""
    gap = x - peak
    hot = exp2(gap * (T.float32(_LOG2_E) / temperature))
    cold = T.Select(gap == T.float32(0), T.float32(1), T.float32(0))
    return T.Select(temperature > T.float32(COLDEST), hot, cold)


def softmax_with_temperature(
    vocab_size: int, active_vocab_size: int, lanes: int
) -> tirx.PrimFunc:
    """Return f(logits (b, 1, V) f32, temperature (b,) f32, probs (b, 1, V) f32).

    Tokens from ``active_vocab_size`` on get probability 0. Chunks run in parallel, in
    vectors of ``lanes`` floats. A logit of -inf has probability 0. One NaN makes its
    whole row NaN; a greedy row passes over it.
    """
    V, A, L = vocab_size, active_vocab_size, lanes
    vectors, rest = divmod(A, L)
    chunk_vectors = CHUNK // L
    chunks = max(1, -(-vectors // chunk_vectors))
    last = chunks - 1

    @T.prim_func(s_tir=True)
    def softmax(logits: T.handle, temperature: T.handle, probs: T.handle) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        b = T.int64()
        X = T.match_buffer(logits, (b, 1, V), "float32", elem_offset=T.int64())
        temps = T.match_buffer(temperature, (b,), "float32", elem_offset=T.int64())
        P = T.match_buffer(probs, (b, 1, V), "float32")
        peak = T.alloc_buffer((b, chunks), "float32")
        mass = T.alloc_buffer((b, chunks), "float32")
        for rc in T.parallel(b * chunks):
            r: T.let[T.int64] = rc // chunks
            c: T.let[T.int64] = rc % chunks
            begin: T.let[T.int64] = c * chunk_vectors
            count: T.let[T.int64] = T.min(chunk_vectors, vectors - begin)
            tail: T.let[T.int64] = T.Select(c == last, T.int64(rest), T.int64(0))
            heat: T.let[T.float32] = temps[r]
            highs = T.alloc_buffer((L,), "float32")
            sums = T.alloc_buffer((L,), "float32")
            m = T.alloc_buffer((1,), "float32")
            s = T.alloc_buffer((1,), "float32")
            for l in T.vectorized(L):
                # Not -inf: a chunk of nothing else would get NaN for -inf less -inf.
                highs[l] = T.float32(LOWEST)
                sums[l] = T.float32(0)
            for i in range(count):
                for l in T.vectorized(L):
                    # X first: a maximum with NaN is its second operand.
                    highs[l] = T.max(X[r, 0, (begin + i) * L + l], highs[l])
            m[0] = T.float32(LOWEST)
            s[0] = T.float32(0)
            for l in range(L):
                m[0] = T.max(m[0], highs[l])
            for i in range(tail):
                m[0] = T.max(X[r, 0, vectors * L + i], m[0])
            for i in range(count):
                for l in T.vectorized(L):
                    v: T.let[T.int64] = (begin + i) * L + l
                    P[r, 0, v] = _weight(X[r, 0, v], m[0], heat)
                    sums[l] += P[r, 0, v]
            for i in range(tail):
                P[r, 0, vectors * L + i] = _weight(X[r, 0, vectors * L + i], m[0], heat)
                s[0] += P[r, 0, vectors * L + i]
            for l in range(L):
                s[0] += sums[l]
            peak[r, c] = m[0]
            mass[r, c] = s[0]
        for r in range(b):
            high = T.alloc_buffer((1,), "float32")
            total = T.alloc_buffer((1,), "float32")
            high[0] = peak[r, 0]
            for c in range(1, chunks):
                high[0] = T.max(high[0], peak[r, c])
            total[0] = T.float32(0)
            for c in range(chunks):
                # From here on `peak` is the factor that a chunk is brought to scale by.
                peak[r, c] = _weight(peak[r, c], high[0], temps[r])
                total[0] += peak[r, c] * mass[r, c]
            for c in range(chunks):
                peak[r, c] = peak[r, c] / total[0]
        for rc in T.parallel(b * chunks):
            row: T.let[T.int64] = rc // chunks
            chunk: T.let[T.int64] = rc % chunks
            start: T.let[T.int64] = chunk * chunk_vectors
            for i in range(T.min(chunk_vectors, vectors - start)):
                for l in T.vectorized(L):
                    P[row, 0, (start + i) * L + l] *= peak[row, chunk]
            if chunk == last:
                for i in range(rest):
                    P[row, 0, vectors * L + i] *= peak[row, chunk]
                for i in range(V - A):
                    P[row, 0, A + i] = T.float32(0)

    return softmax
