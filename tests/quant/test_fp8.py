"""8-bit floats with a scale for a whole weight: known bits, and numpy's arithmetic."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from mlcx.quant.fp8 import Fp8Packing, ScaledFp8Packing

WIDE = Fp8Packing("float8_e5m2")
SCALED = ScaledFp8Packing()
KNOWN = np.array([[0.5, -1, 0.3, 2], [0, 3.5, -0.01, 1.25]], np.float16)


def test_a_known_weight_has_the_known_bytes_and_scale() -> None:
    packed = SCALED.pack(KNOWN)
    bytes_ = [[104, 240, 98, 120], [0, 126, 186, 114]]
    assert packed["q_weight"].view(np.uint8).tolist() == bytes_
    assert packed["q_weight"].dtype == ml_dtypes.float8_e4m3fn
    assert packed["q_scale"].dtype == np.float32
    assert packed["q_scale"].tolist() == [0.0078125]
    values = [[0.5, -1, 0.3125, 2], [0, 3.5, -0.009765625, 1.25]]
    assert SCALED.unpack(packed, 4).tolist() == values


def test_a_known_weight_without_a_scale_has_the_known_bytes() -> None:
    packed = WIDE.pack(KNOWN)
    assert list(packed) == ["q_weight"]
    assert packed["q_weight"].view(np.uint8).tolist() == [
        [56, 188, 53, 64],
        [0, 67, 161, 61],
    ]
    assert WIDE.unpack(packed, 4)[0].tolist() == [0.5, -1, 0.3125, 2]


@pytest.mark.parametrize("spread", [1e-4, 0.02, 1, 1000])
def test_random_weights_equal_an_operation_of_numpy_for_each_of_the_format(
    spread: float,
) -> None:
    """Tiny ones take the least scale there is, which float16 holds with a few bits."""
    random = np.random.default_rng(3)
    weight = (random.standard_normal((50, 77)) * spread).astype(np.float16)
    half = np.maximum(abs(weight).max() / np.float16(448), np.float16(1 / (448 * 512)))
    scale = np.float32(half)
    expected = (weight.astype(np.float32) / scale).astype(ml_dtypes.float8_e4m3fn)
    packed = SCALED.pack(weight)
    assert packed["q_scale"] == scale
    assert packed["q_weight"].tobytes() == expected.tobytes()
    assert SCALED.is_finite(packed)
    exact = weight.astype(ml_dtypes.float8_e5m2)
    assert WIDE.pack(weight)["q_weight"].tobytes() == exact.tobytes()


def test_every_half_survives_its_own_scale() -> None:
    """The scale is rounded, at times down, but no quotient overflows."""
    for bits in range(1, 0x7C00, 37):
        weight = np.array([[bits, bits | 0x8000]], np.uint16).view(np.float16)
        assert SCALED.is_finite(SCALED.pack(weight))


def test_rows_are_packed_alike_alone_once_the_largest_of_all_is_known() -> None:
    weight = np.random.default_rng(4).standard_normal((12, 30)).astype(np.float16)
    largest = max(SCALED.measure(weight[:5]), SCALED.measure(weight[5:]))
    fitted = SCALED.fitted(largest)
    whole = SCALED.pack(weight)
    below = fitted.pack(weight[5:])
    assert below["q_scale"] == whole["q_scale"]
    assert below["q_weight"].tobytes() == whole["q_weight"][5:].tobytes()


def test_activations_are_not_scaled_before_a_calibration() -> None:
    packed = SCALED.pack(KNOWN)
    assert packed["q_calibration_scale"].tolist() == [1]
    assert "q_calibration_scale" not in replace(SCALED, calibrated=False).pack(KNOWN)


@pytest.mark.parametrize(
    "packing", [WIDE, SCALED, replace(SCALED, calibrated=False)], ids=str
)
def test_parts_have_the_shapes_of_what_packing_returns(packing: Fp8Packing) -> None:
    found = {f"a.{name}": part for name, part in packing.pack(KNOWN).items()}
    parts = packing.parts("a.weight", KNOWN.shape)
    assert parts == {n: (a.shape, str(a.dtype)) for n, a in found.items()}


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("packing", [WIDE, SCALED], ids=["e5m2", "e4m3"])
def test_a_weight_that_is_not_finite_shows_where_it_is(
    packing: Fp8Packing, bad: float
) -> None:
    weight = np.ones((4, 8), np.float16)
    weight[2, 3] = bad
    if isinstance(packing, ScaledFp8Packing):
        packing = packing.fitted(packing.measure(weight))
    rows = [packing.is_finite(packing.pack(row)) for row in weight]
    assert rows == [True, True, False, True]
