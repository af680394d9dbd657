"""What happens to logits before sampling: bias, penalties and grammar masks, in place.

Rows of a batch are rows of ``logits``. Vocabulary and batch are symbolic: a grammar or
a penalty touches few tokens, so nothing is gained by fixing them.
"""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T

from mlcx.compiler.kernels.limits import LOWEST

__all__ = ["apply_bitmask", "apply_logit_bias", "apply_penalty"]

_WORD = 32
_WORDS_PER_TASK = 256


def apply_logit_bias() -> tirx.PrimFunc:
    """Return f(logits (B, V) f32, pos2seq_id (T,), token_ids (T,), bias (T,) f32).

    ``logits[pos2seq_id[t], token_ids[t]] += bias[t]``; a token given twice gets both.
    """

    @T.prim_func(s_tir=True)
    def apply_logit_bias_inplace(
        var_logits: T.handle,
        var_pos2seq_id: T.handle,
        var_token_ids: T.handle,
        var_bias: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        V = T.int64()
        n = T.int64()
        logits = T.match_buffer(var_logits, (B, V), "float32", elem_offset=T.int64())
        rows = T.match_buffer(var_pos2seq_id, (n,), "int32", elem_offset=T.int64())
        tokens = T.match_buffer(var_token_ids, (n,), "int32", elem_offset=T.int64())
        bias = T.match_buffer(var_bias, (n,), "float32", elem_offset=T.int64())
        for t in range(n):
            logits[rows[t], tokens[t]] += bias[t]

    return apply_logit_bias_inplace


def apply_penalty() -> tirx.PrimFunc:
    """Return the in-place presence, frequency and repetition penalty.

    f(logits (B, V) f32, seq_ids (S,), pos2seq_id (T,), token_ids (T,), token_cnt (T,),
    penalties (S, 3) f32), indices int32. Entry t belongs to sequence
    ``i = pos2seq_id[t]``, whose row is ``seq_ids[i]`` and whose penalties are row i:
    presence + count x frequency is subtracted, then the repetition penalty divides a
    logit of at least 0 and multiplies a negative one.
    """

    @T.prim_func(s_tir=True)
    def apply_penalty_inplace(
        var_logits: T.handle,
        var_seq_ids: T.handle,
        var_pos2seq_id: T.handle,
        var_token_ids: T.handle,
        var_token_cnt: T.handle,
        var_penalties: T.handle,
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        V = T.int64()
        S = T.int64()
        n = T.int64()
        logits = T.match_buffer(var_logits, (B, V), "float32", elem_offset=T.int64())
        rows = T.match_buffer(var_seq_ids, (S,), "int32", elem_offset=T.int64())
        seqs = T.match_buffer(var_pos2seq_id, (n,), "int32", elem_offset=T.int64())
        tokens = T.match_buffer(var_token_ids, (n,), "int32", elem_offset=T.int64())
        counts = T.match_buffer(var_token_cnt, (n,), "int32", elem_offset=T.int64())
        penalties = T.match_buffer(
            var_penalties, (S, 3), "float32", elem_offset=T.int64()
        )
        for t in range(n):
            i: T.let[T.int32] = seqs[t]
            row: T.let[T.int32] = rows[i]
            less: T.let[T.float32] = logits[row, tokens[t]] - (
                penalties[i, 0] + T.Cast("float32", counts[t]) * penalties[i, 1]
            )
            logits[row, tokens[t]] = T.Select(
                less < T.float32(0), less * penalties[i, 2], less / penalties[i, 2]
            )

    return apply_penalty_inplace


def apply_bitmask() -> tirx.PrimFunc:
    """Return f(logits (B, V) f32, seq_ids (S,), bitmask (B, ceil(V/32)) int32).

    For each row that ``seq_ids`` names, the tokens whose bit is 0 get the most negative
    float32. Token v is bit v % 32 of word v // 32, the least significant first; the
    mask's rows are the logits' rows. Bits past V are ignored.
    """

    @T.prim_func(s_tir=True)
    def apply_bitmask_inplace(
        var_logits: T.handle, var_seq_ids: T.handle, var_bitmask: T.handle
    ) -> None:
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True, "op_pattern": 8})
        B = T.int64()
        V = T.int64()
        S = T.int64()
        logits = T.match_buffer(var_logits, (B, V), "float32", elem_offset=T.int64())
        rows = T.match_buffer(var_seq_ids, (S,), "int32", elem_offset=T.int64())
        bitmask = T.match_buffer(
            var_bitmask,
            (B, (V + _WORD - 1) // _WORD),
            "int32",
            elem_offset=T.int64(),
        )
        words: T.let[T.int64] = V // _WORD
        tasks: T.let[T.int64] = words // _WORDS_PER_TASK + 1
        for it in T.parallel(S * tasks):
            row: T.let[T.int32] = rows[it // tasks]
            begin: T.let[T.int64] = it % tasks * _WORDS_PER_TASK
            for i in range(T.min(_WORDS_PER_TASK, words - begin)):
                word: T.let[T.int32] = bitmask[row, begin + i]
                for bit in T.vectorized(_WORD):
                    v: T.let[T.int64] = (begin + i) * _WORD + bit
                    logits[row, v] = T.Select(
                        (word >> bit) & 1 == 1, logits[row, v], T.float32(LOWEST)
                    )
            if begin + _WORDS_PER_TASK > words:
                for bit in range(V - words * _WORD):
                    if (bitmask[row, words] >> T.Cast("int32", bit)) & 1 == 0:
                        logits[row, words * _WORD + bit] = T.float32(LOWEST)

    return apply_bitmask_inplace
