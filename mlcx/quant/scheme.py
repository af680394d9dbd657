"""The quantization schemes as a table: what is stored, and in which layers.

The names and what they stand for are MLC's, so that its runtimes load the result. A
new scheme of a known kind is a row; ``packing`` says how to add a kind.
"""

from __future__ import annotations

from mlcx.errors import UsageError
from mlcx.quant.awq import AwqPacking
from mlcx.quant.block_scale import BlockScaleScheme
from mlcx.quant.fp8 import Fp8Packing, ScaledFp8Packing
from mlcx.quant.ft import FtPacking, FtScheme
from mlcx.quant.group import GroupPacking, GroupScheme
from mlcx.quant.linear import LinearScheme
from mlcx.quant.packing import Scheme
from mlcx.quant.plain import PlainScheme

__all__ = ["SCHEMES", "scheme"]

_ROWS: tuple[Scheme, ...] = (
    PlainScheme("q0f16", "float16"),
    PlainScheme("q0bf16", "bfloat16"),
    PlainScheme("q0f32", "float32"),
    GroupScheme("q3f16_0", GroupPacking(3, 40, "float16", "KN")),
    GroupScheme("q3f16_1", GroupPacking(3, 40, "float16")),
    GroupScheme("q4f16_0", GroupPacking(4, 32, "float16", "KN")),
    GroupScheme("q4f16_1", GroupPacking(4, 32, "float16")),
    GroupScheme(
        "q4f16_2",
        GroupPacking(4, 32, "float16"),
        quantize_embedding=False,
        quantize_final_fc=False,
    ),
    GroupScheme("q4bf16_0", GroupPacking(4, 32, "bfloat16", "KN")),
    GroupScheme("q4bf16_1", GroupPacking(4, 32, "bfloat16")),
    GroupScheme("q4f32_1", GroupPacking(4, 32, "float32")),
    LinearScheme("q4f16_autoawq", AwqPacking()),
    FtScheme("q4f16_ft", FtPacking(), GroupPacking(4, 32, "float16")),
    LinearScheme("e5m2_e5m2_f16", Fp8Packing("float8_e5m2")),
    LinearScheme("e4m3_e4m3_f16", ScaledFp8Packing()),
    LinearScheme("e4m3_e4m3_f16_max_calibrate", ScaledFp8Packing(calibrated=False)),
    BlockScaleScheme("fp8_e4m3fn_bf16_block_scale"),
    BlockScaleScheme(
        "fp8_e4m3fn_bf16_block_scale_static_activation", static_activation=True
    ),
    # These are no names of MLC's, whose runtimes load them all the same.
    GroupScheme("q8f16_1", GroupPacking(8, 32, "float16")),
    GroupScheme("q8bf16_1", GroupPacking(8, 32, "bfloat16")),
    GroupScheme("q8f32_1", GroupPacking(8, 32, "float32")),
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
