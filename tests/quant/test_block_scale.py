"""8-bit floats with a scale for each block."""

import ml_dtypes
import numpy as np

from mlcx.quant.block_scale import BlockScalePacking


def test_a_known_block_stands_for_the_known_values() -> None:
    bytes_ = np.array([[80, 88], [224, 102]], np.uint8)
    weight = bytes_.view(ml_dtypes.float8_e4m3fn)
    packed = {"weight": weight, "weight_scale_inv": np.full((1, 1), 0.25, np.float32)}
    found = BlockScalePacking(2, 2).unpack(packed, 2)
    assert found.dtype == ml_dtypes.bfloat16
    assert found.tolist() == [[2, 4], [-8, 14]]


def test_blocks_at_the_edges_are_smaller() -> None:
    packing = BlockScalePacking(2, 3)
    scales = np.array([[1, 2, 4], [8, 16, 32]], np.float32)
    weight = np.ones((3, 7), ml_dtypes.float8_e4m3fn)
    found = packing.unpack({"weight": weight, "weight_scale_inv": scales}, 7)
    rows = [[1, 1, 1, 2, 2, 2, 4], [1, 1, 1, 2, 2, 2, 4], [8, 8, 8, 16, 16, 16, 32]]
    assert found.tolist() == rows


def test_parts_have_a_scale_for_each_block_begun() -> None:
    assert BlockScalePacking(128, 64).parts("a.weight", (129, 100)) == {
        "a.weight": ((129, 100), "float8_e4m3fn"),
        "a.weight_scale_inv": ((2, 2), "float32"),
    }
    stacked = BlockScalePacking(128, 64).parts("a.weight", (5, 129, 100))
    assert stacked["a.weight_scale_inv"] == ((5, 2, 2), "float32")
    static = BlockScalePacking(128, 64, static_activation=True)
    parts = static.parts("a.weight", (129, 100))
    assert parts["a.activation_scale"] == ((2,), "float32")
