"""Codes taken out of vectors of words.

A code is masked where it stands and not shifted down, which saves an instruction for
each; it then counts ``weight_of_code`` times, a power of two that its other factor is
divided by, without rounding.
"""

from __future__ import annotations

from tvm.ir import Expr
from tvm.tirx import IntImm, bitwise_and, shift_right

from mlcx.compiler.kernels.cpu.vectors import cast, signed, splat
from mlcx.compiler.kernels.cpu.weights import GroupQuantized

__all__ = ["code_of_words", "weight_of_code"]


def weight_of_code(fmt: GroupQuantized, code: int) -> float:
    """Return how many times code number ``code`` of a word counts."""
    return 1.0 if _on_top(fmt, code) else 2.0 ** (fmt.bits * code)


def code_of_words(fmt: GroupQuantized, words: Expr, code: int, lanes: int) -> Expr:
    """Return code number ``code`` of each word, times its weight, as float32."""
    if _on_top(fmt, code):
        shift = splat(IntImm("uint32", code * fmt.bits), lanes)
        bits = shift_right(words, shift)
    else:
        mask = (2**fmt.bits - 1) << (code * fmt.bits)
        bits = bitwise_and(words, splat(IntImm("uint32", mask), lanes))
    return cast(signed(bits, lanes), "float32", lanes)


def _on_top(fmt: GroupQuantized, code: int) -> bool:
    """Say whether a code holds the sign bit, where a mask would make it negative."""
    return (code + 1) * fmt.bits == 32
