"""The quantization schemes as a table: what is stored, and in which layers.

The names and what they stand for are MLC's, so that its runtimes load the result. A
new scheme of a known kind is a row; a new kind is a file and a row.
"""

from __future__ import annotations

from mlcx.errors import UsageError
from mlcx.quant.group import GroupScheme
from mlcx.quant.plain import PlainScheme

__all__ = ["SCHEMES", "Scheme", "scheme"]

Scheme = PlainScheme | GroupScheme
"""Any scheme; ``kind`` tells them apart."""

_ROWS: tuple[Scheme, ...] = (
    PlainScheme("q0f16", "float16"),
    PlainScheme("q0bf16", "bfloat16"),
    PlainScheme("q0f32", "float32"),
    GroupScheme("q3f16_0", "float16", bits=3, group_size=40, layout="KN"),
    GroupScheme("q3f16_1", "float16", bits=3, group_size=40),
    GroupScheme("q4f16_0", "float16", bits=4, group_size=32, layout="KN"),
    GroupScheme("q4f16_1", "float16", bits=4, group_size=32),
    GroupScheme(
        "q4f16_2",
        "float16",
        bits=4,
        group_size=32,
        quantize_embedding=False,
        quantize_final_fc=False,
    ),
    GroupScheme("q4bf16_0", "bfloat16", bits=4, group_size=32, layout="KN"),
    GroupScheme("q4bf16_1", "bfloat16", bits=4, group_size=32),
    GroupScheme("q4f32_1", "float32", bits=4, group_size=32),
)

SCHEMES: dict[str, Scheme] = {row.name: row for row in _ROWS}


def scheme(name: str) -> Scheme:
    """Return the scheme called ``name``.

    Raises:
        UsageError: There is none; the message lists those that exist.
    """
    if name not in SCHEMES:
        raise UsageError.unknown("quantization", name, SCHEMES)
    return SCHEMES[name]
