"""What happens to logits before sampling, on the GPU: bias, penalties, grammar masks.

In place, a thread for each entry. What they do is said in `kernels.cpu.logits`; but
entries of one row must name different tokens, as those of an engine do.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr
from tvm.script import tirx as T

from mlcx.compiler.kernels.gpu.launch import each
from mlcx.compiler.kernels.limits import LOWEST
from mlcx.compiler.kernels.script import define, view

__all__ = ["apply_bitmask", "apply_logit_bias", "apply_penalty"]

_WORD = 32


def apply_logit_bias() -> tirx.PrimFunc:
    """Return f(logits (B, V) f32, pos2seq_id (T,), token_ids (T,), bias (T,) f32)."""

    def emit() -> None:
        logits, n = _logits(), T.int64()
        rows = view("pos2seq_id", (n,), "int32")
        tokens = view("token_ids", (n,), "int32")
        bias = view("bias", (n,), "float32")

        def entry(t: Expr) -> None:
            row, token = T.bind(rows[t]), T.bind(tokens[t])
            T.buffer_store(logits, logits[row, token] + bias[t], [row, token])

        each(n, entry)

    return define("apply_logit_bias_inplace", emit)


def apply_penalty() -> tirx.PrimFunc:
    """Return the in-place presence, frequency and repetition penalty.

    f(logits (B, V) f32, seq_ids (S,), pos2seq_id (T,), token_ids (T,), token_cnt (T,),
    penalties (S, 3) f32), indices int32.
    """

    def emit() -> None:
        logits, s, n = _logits(), T.int64(), T.int64()
        rows = view("seq_ids", (s,), "int32")
        seqs = view("pos2seq_id", (n,), "int32")
        tokens = view("token_ids", (n,), "int32")
        counts = view("token_cnt", (n,), "int32")
        penalties = view("penalties", (s, 3), "float32")

        def entry(t: Expr) -> None:
            i, token = T.bind(seqs[t]), T.bind(tokens[t])
            row = T.bind(rows[i])
            presence, frequency, repetition = (penalties[i, k] for k in range(3))
            lower = presence + counts[t].astype("float32") * frequency
            less = T.bind(logits[row, token] - lower)
            value = T.Select(less < T.float32(0), less * repetition, less / repetition)
            T.buffer_store(logits, value, [row, token])

        each(n, entry)

    return define("apply_penalty_inplace", emit)


def apply_bitmask() -> tirx.PrimFunc:
    """Return f(logits (B, V) f32, seq_ids (S,), bitmask (B, ceil(V/32)) int32)."""

    def emit() -> None:
        logits, s = _logits(), T.int64()
        batch, vocab = logits.shape
        rows = view("seq_ids", (s,), "int32")
        bitmask = view("bitmask", (batch, (vocab + _WORD - 1) // _WORD), "int32")

        def entry(i: Expr) -> None:
            row, v = T.bind(rows[i // vocab]), T.bind(i % vocab)
            bit = bitmask[row, v // _WORD] >> (v % _WORD).astype("int32")
            with T.If((bit & 1) == 0), T.Then():
                T.buffer_store(logits, T.float32(LOWEST), [row, v])

        each(s * vocab, entry)

    return define("apply_bitmask_inplace", emit)


def _logits() -> tirx.Buffer:
    return view("logits", (T.int64(), T.int64()), "float32")
