"""Codes taken out of vectors of words.

A code is masked where it stands and not shifted down, which saves an instruction for
each; it then counts ``weight_of_code`` times, a power of two that its other factor is
divided by, without rounding.
"""

from __future__ import annotations

from typing import TypeAlias

from tvm.ir import Expr
from tvm.tirx import Buffer, IntImm, bitwise_and, shift_right

from mlcx.compiler.kernels.cpu.vectors import bind, cast, load, pick, signed, splat
from mlcx.compiler.kernels.cpu.weights import GroupQuantized, WordsOfColumns

__all__ = ["code_of_words", "columns_of_words", "weight_of_code"]

_Codes: TypeAlias = GroupQuantized | WordsOfColumns


def weight_of_code(fmt: _Codes, code: int) -> float:
    """Return how many times code number ``code`` of a word counts."""
    return 1.0 if _on_top(fmt, code) else 2.0 ** (fmt.bits * code)


def code_of_words(fmt: _Codes, words: Expr, code: int, lanes: int) -> Expr:
    """Return code number ``code`` of each word, times its weight, as float32."""
    if _on_top(fmt, code):
        shift = splat(IntImm("uint32", code * fmt.bits), lanes)
        bits = shift_right(words, shift)
    else:
        mask = (2**fmt.bits - 1) << (code * fmt.bits)
        bits = bitwise_and(words, splat(IntImm("uint32", mask), lanes))
    return cast(signed(bits, lanes), "float32", lanes)


def columns_of_words(
    fmt: WordsOfColumns, words: Buffer, row: Expr, column: Expr, lanes: int
) -> Expr:
    """Return the codes of ``lanes`` columns from ``column`` on in a row, as float32.

    Vectors are whole words or half of one, and begin where one does.
    """
    first = column // fmt.codes
    count = max(1, lanes // fmt.codes)
    taken = bind(load(words, row, first, lanes=count))
    vector = pick([taken] * fmt.codes, [i // fmt.codes for i in range(lanes)])
    constants = [IntImm("uint32", fmt.shifts[i % fmt.codes]) for i in range(lanes)]
    shifts = pick(constants, range(lanes))
    if lanes < fmt.codes:
        # Codes of the second half are a few bits above those of the first.
        half = cast(column % fmt.codes // lanes, "uint32", 1)
        further = IntImm("uint32", fmt.shifts[lanes] - fmt.shifts[0])
        shifts = shifts + splat(half * further, lanes)
    mask = splat(IntImm("uint32", 2**fmt.bits - 1), lanes)
    code = bitwise_and(shift_right(vector, shifts), mask)
    return cast(signed(code, lanes), "float32", lanes)


def _on_top(fmt: _Codes, code: int) -> bool:
    """Say whether a code holds the sign bit, where a mask would make it negative."""
    return (code + 1) * fmt.bits == 32
