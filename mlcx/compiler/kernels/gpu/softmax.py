"""Softmax over a vocabulary on the GPU, with a temperature for each row.

Two kernels, both with a block for each chunk of a row: one finds each chunk's maximum
and its sum of exponentials, the other brings the chunks to one scale (the online
softmax of Milakov and Gimelshein, arXiv:1805.02867). A row with a temperature of next
to nothing becomes the indicator of its maximum.
"""

from __future__ import annotations

import math

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import block
from mlcx.compiler.kernels.limits import CHUNK, COLDEST, LOWEST
from mlcx.compiler.kernels.script import array, define, view

__all__ = ["chunk_count", "chunk_masses", "softmax_of_chunks"]

_LOG2_E = math.log2(math.e)


def chunk_count(active: int) -> int:
    """Return how many chunks rows of ``active`` tokens have."""
    return -(-active // CHUNK)


def chunk_masses(vocab_size: int, active: int) -> tirx.PrimFunc:
    """Return f(logits (b, 1, V), temperature (b,), peaks (b, c), masses (b, c)).

    All float32. A chunk's peak is its greatest logit, its mass the sum over it of
    exp((x - peak) / temperature); only the first ``active`` tokens count.
    """
    chunks = chunk_count(active)

    def emit() -> None:
        b = T.int64()
        logits = view("logits", (b, 1, vocab_size), "float32")
        heat = view("temperature", (b,), "float32")
        peaks = array("peaks", (b, chunks), "float32")
        masses = array("masses", (b, chunks), "float32")
        with block(b, chunks) as here:
            row, chunk = here.at
            begin = chunk * CHUNK
            count = T.min(T.int64(CHUNK), active - begin)
            # Not -inf: a chunk of nothing else would get NaN for -inf less -inf.
            high = here.local("float32", T.float32(LOWEST))
            here.strided(
                count,
                lambda i: T.buffer_store(
                    high, T.max(high[0], logits[row, 0, begin + i]), [0]
                ),
            )
            peak = here.reduced(high[0], "float32", T.max)
            mass = here.local("float32", T.float32(0))

            def add(i: Expr) -> None:
                weight = _weight(logits[row, 0, begin + i], peak, heat[row])
                T.buffer_store(mass, mass[0] + weight, [0])

            here.strided(count, add)
            total = here.reduced(mass[0], "float32", _sum)
            with T.If(here.thread == 0), T.Then():
                T.buffer_store(peaks, peak, [row, chunk])
                T.buffer_store(masses, total, [row, chunk])

    return define("softmax_chunk_masses", emit)


def softmax_of_chunks(vocab_size: int, active: int) -> tirx.PrimFunc:
    """Return f(logits (b, 1, V), temperature (b,), peaks (b, c), masses (b, c), probs).

    ``probs`` is (b, 1, V), all float32; `chunk_masses` says what the rest is.
    Probabilities of tokens from ``active`` on are 0.
    """
    chunks = chunk_count(active)

    def emit() -> None:
        b = T.int64()
        logits = view("logits", (b, 1, vocab_size), "float32")
        heat = view("temperature", (b,), "float32")
        peaks = array("peaks", (b, chunks), "float32")
        masses = array("masses", (b, chunks), "float32")
        probs = array("probs", (b, 1, vocab_size), "float32")
        with block(b, -(-vocab_size // CHUNK)) as here:
            row, chunk = here.at
            high = here.local("float32", T.float32(LOWEST))
            with T.serial(chunks) as c:
                T.buffer_store(high, T.max(high[0], peaks[row, c]), [0])
            mass = here.local("float32", T.float32(0))
            with T.serial(chunks) as c:
                share = _weight(peaks[row, c], high[0], heat[row]) * masses[row, c]
                T.buffer_store(mass, mass[0] + share, [0])
            begin = chunk * CHUNK

            def write(i: Expr) -> None:
                at = begin + i
                weight = _weight(logits[row, 0, at], high[0], heat[row])
                value = T.Select(at < active, weight / mass[0], T.float32(0))
                T.buffer_store(probs, value, [row, 0, at])

            here.strided(T.min(T.int64(CHUNK), vocab_size - begin), write)

    return define("softmax_of_chunks", emit)


def _weight(x: Expr, peak: Expr, temperature: Expr) -> Expr:
    """Return exp((x - peak) / temperature), or without heat whether x is the peak."""
    gap = x - peak
    hot = T.exp2(gap * (T.float32(_LOG2_E) / temperature))
    cold = T.Select(gap == T.float32(0), T.float32(1), T.float32(0))
    return T.Select(temperature > T.float32(COLDEST), hot, cold)


def _sum(a: Expr, b: Expr) -> Expr:
    return a + b
