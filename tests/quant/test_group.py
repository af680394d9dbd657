"""Group quantization against numpy's own arithmetic and against known bits."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from mlcx.quant.group import GroupPacking
from mlcx.quant.plain import dtype_named

HALF = GroupPacking(4, 32, "float16")
SINGLE = GroupPacking(4, 32, "float32")
THREE = GroupPacking(3, 40, "float16")
BRAIN = GroupPacking(4, 32, "bfloat16")
EIGHT = GroupPacking(8, 32, "float16")
BRAIN_EIGHT = GroupPacking(8, 32, "bfloat16")
SINGLE_EIGHT = GroupPacking(8, 32, "float32")
BRAIN_KN = replace(BRAIN, layout="KN")
HALF_KN = replace(HALF, layout="KN")
THREE_KN = replace(THREE, layout="KN")
EIGHTS = (EIGHT, BRAIN_EIGHT, SINGLE_EIGHT)
PACKINGS = (HALF, SINGLE, THREE, BRAIN, HALF_KN, THREE_KN, BRAIN_KN, *EIGHTS)


def name(packing: GroupPacking) -> str:
    return f"{packing.bits}-{packing.model_dtype}-{packing.layout}"


def reference(
    packing: GroupPacking, weight: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.floating]]:
    """Quantize ``weight`` (N, K) with an operation of numpy's for each of the format.

    Each operation of a float16 array rounds to float16. Of bfloat16 all arithmetic is
    that of float32, and what divides is the stored scale, but the exact one where it is
    going to be transposed.
    """
    rows, columns = weight.shape
    stored = weight.dtype
    if stored == ml_dtypes.bfloat16:
        weight = weight.astype(np.float32)
    size, most = packing.group_size, weight.dtype.type(packing.max_code)
    groups = -(-columns // size)
    filled = np.zeros((rows, groups * size), weight.dtype)
    filled[:, :columns] = weight
    cut = filled.reshape(rows, groups, size)
    with np.errstate(all="ignore"):
        exact = np.abs(cut).max(axis=2) / most
        scale = exact.astype(stored)
        divisor = exact if packing.layout == "KN" else scale.astype(weight.dtype)
        quotients = cut / divisor[..., None]
        codes = np.clip(np.rint(quotients + most), 0, 2 * packing.max_code)
    codes = np.nan_to_num(codes).astype(np.uint32).reshape(rows, -1)
    codes[:, columns:] = 0
    in_words = codes.reshape(rows, -1, packing.codes_per_word)
    words = np.zeros(in_words.shape[:2], np.uint32)
    for place in range(packing.codes_per_word):
        words |= in_words[..., place] << np.uint32(packing.bits * place)
    return (words.T, scale.T) if packing.layout == "KN" else (words, scale)


def check(packing: GroupPacking, weight: npt.NDArray[np.floating]) -> None:
    words, scales = reference(packing, weight)
    before = weight.copy()
    packed = packing.pack(weight)
    assert weight.tobytes() == before.tobytes()
    assert packed["q_weight"].dtype == np.uint32
    assert packed["q_scale"].dtype == weight.dtype
    np.testing.assert_array_equal(packed["q_weight"], words)
    np.testing.assert_array_equal(packed["q_scale"], scales)


def test_every_quotient_of_two_halves_gets_the_code_of_half_arithmetic() -> None:
    """Scaling by powers of two changes no code, so one binade of maxima is all.

    Below a sixteenth of the maximum every code is that of 0.
    """
    largest = np.arange(0x3C00, 0x4000, dtype=np.uint16)
    others = np.arange(4 * 1024, dtype=np.uint16)
    values = largest[:, None] - others
    values = np.concatenate([values, values | 0x8000], axis=1)
    values = np.pad(values, ((0, 0), (0, -values.shape[1] % 31)), mode="edge")
    groups = values.reshape(len(largest), -1, 31)
    maxima = np.broadcast_to(largest[:, None, None], (*groups.shape[:2], 1))
    weight = np.concatenate([maxima, groups], axis=2).view(np.float16)
    check(HALF, weight.reshape(len(largest), -1))


@pytest.mark.parametrize("packing", PACKINGS, ids=name)
@pytest.mark.parametrize("columns", [40, 32, 1, 33, 120, 8 * 40])
def test_random_weights_of_any_width_equal_the_reference(
    packing: GroupPacking, columns: int
) -> None:
    values = np.random.default_rng(columns).standard_normal((70, columns)) * 0.02
    check(packing, values.astype(dtype_named(packing.model_dtype)))
    check(packing, values[:1].astype(dtype_named(packing.model_dtype)))


@pytest.mark.parametrize("packing", [HALF, THREE, EIGHT], ids=name)
def test_halves_of_every_exponent_equal_the_reference(packing: GroupPacking) -> None:
    """Among them scales that are subnormal, or 0 for a maximum that is not."""
    rng = np.random.default_rng(5)
    rows = np.arange(31 * 8)
    top = (rows // 8 << 10)[:, None]
    bits = rng.integers(0, 1 << 10, (len(rows), 40 * packing.group_size)) + top
    bits >>= rng.integers(0, 3, bits.shape)
    bits |= rng.integers(0, 2, bits.shape) << 15
    check(packing, bits.astype(np.uint16).view(np.float16))


def test_the_smallest_halves_equal_the_reference() -> None:
    values = np.random.default_rng(6).integers(0, 12, (64, 320)).astype(np.uint16)
    values[:, 64:] //= 4
    check(HALF, values.view(np.float16))
    check(HALF, (values | 0x8000).view(np.float16))


@pytest.mark.parametrize("packing", [BRAIN, BRAIN_KN, BRAIN_EIGHT], ids=name)
def test_the_smallest_bfloat16_equal_the_reference(packing: GroupPacking) -> None:
    bits = np.random.default_rng(10).integers(0, 300, (64, 320)).astype(np.uint16)
    bits[:, 64:] //= 64
    check(packing, bits.view(ml_dtypes.bfloat16))
    check(packing, (bits | 0x8000).view(ml_dtypes.bfloat16))


def test_tiny_singles_equal_the_reference() -> None:
    bits = np.random.default_rng(7).integers(0, 1 << 24, (64, 320), dtype=np.uint32)
    check(SINGLE, bits.view(np.float32))


def test_more_groups_than_are_worked_on_at_once_equal_the_reference() -> None:
    values = np.random.default_rng(8).standard_normal((4100, 64)).astype(np.float16)
    check(HALF, values)


def test_a_group_of_zeros_is_all_zero_and_stands_for_zeros() -> None:
    weight = np.zeros((2, 64), np.float16)
    weight[1, :32] = -0.0
    packed = HALF.pack(weight)
    assert not packed["q_weight"].any()
    assert not packed["q_scale"].any()
    assert (HALF.unpack(packed, 64) == 0).all()


FORTY = ((np.arange(40) - 16) / 8)[None]
WORDS = "33221100 76655444 aa998877 eddccbba eedddccc 00000000 00000000 00000000"


@pytest.mark.parametrize(
    ("packing", "scales"),
    [(HALF, (0x3492, 0x3692)), (SINGLE, (0x3E924925, 0x3ED24925))],
    ids=["half", "single"],
)
def test_a_known_row_has_the_known_words(
    packing: GroupPacking, scales: tuple[int, int]
) -> None:
    packed = packing.pack(FORTY.astype(packing.model_dtype))
    assert [f"{word:08x}" for word in packed["q_weight"][0]] == WORDS.split()
    bits = packed["q_scale"].view(f"u{packed['q_scale'].itemsize}")
    assert tuple(bits[0]) == scales


def test_a_known_row_in_bfloat16_has_words_of_its_own() -> None:
    packed = BRAIN.pack(FORTY.astype(ml_dtypes.bfloat16))
    known = WORDS.replace("76655444", "76655443").replace("eddccbba", "eddccbbb")
    assert [f"{word:08x}" for word in packed["q_weight"][0]] == known.split()
    assert packed["q_scale"].view(np.uint16).tolist() == [[0x3E92, 0x3ED2]]
    first = BRAIN.unpack(packed, 40)[0, :5].astype(np.float32)
    assert first.tolist() == [-2.0, -2.0, -1.7109375, -1.7109375, -1.421875]


def test_two_known_rows_are_stored_as_columns() -> None:
    row = (np.arange(32) - 16) / 8
    weight = np.stack([row, -2 * row]).astype(np.float16)
    packed = HALF_KN.pack(weight)
    words = [[f"{word:08x}" for word in pair] for pair in packed["q_weight"]]
    assert words == [
        ["33221100", "bbccddee"],
        ["76655444", "78899aaa"],
        ["aa998877", "44556677"],
        ["eddccbba", "01122334"],
    ]
    assert packed["q_scale"].tolist() == [[0.28564453125, 0.5712890625]]
    by_rows = HALF.unpack(HALF.pack(weight), 32)
    np.testing.assert_array_equal(HALF_KN.unpack(packed, 32), by_rows)


def test_parts_have_the_shapes_of_what_packing_returns() -> None:
    for packing in PACKINGS:
        weight = np.zeros((6, 50), dtype_named(packing.model_dtype))
        found = {f"a.{name}": part for name, part in packing.pack(weight).items()}
        parts = packing.parts("a.weight", weight.shape)
        assert parts == {n: (a.shape, str(a.dtype)) for n, a in found.items()}


def test_a_table_read_by_row_is_never_transposed() -> None:
    assert BRAIN_KN.by_rows() == BRAIN
    assert BRAIN.by_rows() == BRAIN


def test_a_known_row_of_three_bits_has_the_known_words() -> None:
    packed = THREE.pack(((np.arange(44) - 20) / 8)[None].astype(np.float16))
    words = "09249000 1b692492 249246db 36d6db6c 00000db6 00000000 00000000 00000000"
    assert [f"{word:08x}" for word in packed["q_weight"][0]] == words.split()
    assert packed["q_scale"].view(np.uint16).tolist() == [[0x3AAB, 0x3BAB]]


def test_a_known_row_of_eight_bits_has_the_known_bytes() -> None:
    row = np.zeros((1, 32), np.float32)
    row[0, :8] = [127, -127, 1, -1, 0, 0.5, 1.5, 64]
    packed = SINGLE_EIGHT.pack(row)
    assert packed["q_scale"].tolist() == [[1.0]]
    assert packed["q_weight"].shape == (1, 8)
    first = packed["q_weight"].view(np.uint8)[0, :9].tolist()
    assert first == [254, 0, 128, 126, 127, 128, 128, 191, 127]


def test_exact_ties_go_to_the_even_code() -> None:
    row = np.zeros((1, 32), np.float16)
    row[0, :10] = [7, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.25, -0.25, 0]
    word = int(HALF.pack(row)["q_weight"][0, 0])
    assert [word >> 4 * place & 15 for place in range(8)] == [14, 8, 6, 8, 6, 10, 4, 7]


def test_unpacking_gives_the_known_values() -> None:
    half = HALF.unpack(HALF.pack(FORTY.astype(np.float16)), 40)
    assert half.dtype == np.float16
    assert half.shape == (1, 40)
    known = [-2.0, -2.0, -1.7138671875, -1.7138671875, -1.427734375]
    assert half[0, :5].tolist() == known
    single = SINGLE.unpack(SINGLE.pack(FORTY.astype(np.float32)), 40)
    np.testing.assert_allclose(single[0, :3], [-2.0, -2.0, -12 / 7], rtol=1e-7)


ALLOWED = {
    (3, "float16"): 0.51,
    (4, "float16"): 0.51,
    (4, "float32"): 0.51,
    (4, "bfloat16"): 0.54,
    (8, "float16"): 0.66,
    (8, "float32"): 0.51,
    (8, "bfloat16"): 1.0,
}
"""Half a step, and what the format's own roundings to its dtype may add."""


@pytest.mark.parametrize("packing", PACKINGS, ids=name)
def test_a_round_trip_is_off_by_half_a_step_at_most(packing: GroupPacking) -> None:
    shape = (15, 240) if packing.layout == "KN" else (3, 5, 240)
    values = np.random.default_rng(9).standard_normal(shape)
    weight = values.astype(dtype_named(packing.model_dtype)).astype(np.float64)
    packed = packing.pack(weight.astype(dtype_named(packing.model_dtype)))
    error = np.abs(packing.unpack(packed, 240).astype(np.float64) - weight)
    scales = packed["q_scale"].astype(np.float64)
    by_rows = scales.T if packing.layout == "KN" else scales
    steps = np.repeat(by_rows, packing.group_size, axis=-1)
    allowed = ALLOWED[packing.bits, packing.model_dtype]
    assert (error <= steps[..., :240] * allowed).all()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("packing", PACKINGS, ids=name)
def test_a_weight_that_is_not_finite_shows_in_its_scale(
    packing: GroupPacking, bad: float
) -> None:
    weight = np.ones((1, 240), dtype_named(packing.model_dtype))
    weight[0, -1] = bad
    finite = np.isfinite(packing.pack(weight)["q_scale"].reshape(-1))
    assert finite[:-1].all()
    assert not finite[-1]
