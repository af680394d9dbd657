"""FasterTransformer's int4: known codes, and its order step by step as defined."""

import numpy as np
import numpy.typing as npt
import pytest

from mlcx.errors import UsageError
from mlcx.quant.ft import FtPacking, FtScheme, in_order, out_of_order
from mlcx.quant.group import GroupPacking
from mlcx.quant.packing import Layer

FT = FtPacking()
SCHEME = FtScheme("q4f16_ft", FT, GroupPacking(4, 32, "float16"))


def preprocessed(codes: npt.NDArray[np.int8]) -> bytes:
    """Put ``codes`` (N, K) in order word by word, as FasterTransformer does.

    Rows of (K, N) are permuted, the matrix is turned to columns of words, columns are
    interleaved by fours in tiles of 64 rows, each word's codes are biased and moved.
    """
    n, k = codes.shape
    order = [0, 1, 8, 9, 16, 17, 24, 25, 2, 3, 10, 11, 18, 19, 26, 27]
    order += [each + 4 for each in order]
    rows = [base + place for base in range(0, k, 32) for place in order]
    columns = codes.T[rows].T + 8
    words = np.zeros(n * k // 8, np.uint32)
    for column in range(n):
        for row in range(k // 8):
            tile, within = divmod(row, 8)
            write = (column // 4) * (k // 8) * 4 + 4 * 8 * tile + 8 * (column % 4)
            eight = columns[column, 8 * row : 8 * row + 8]
            for half, element in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
                words[write + within] |= np.uint32(int(eight[element]) << 4 * half)
    return words.tobytes()


@pytest.fixture
def codes() -> npt.NDArray[np.int8]:
    return np.random.default_rng(1).integers(-8, 8, (24, 192)).astype(np.int8)


def test_codes_are_in_the_order_of_the_definition(codes: npt.NDArray[np.int8]) -> None:
    assert in_order(codes).tobytes() == preprocessed(codes)


def test_the_order_can_be_undone(codes: npt.NDArray[np.int8]) -> None:
    stored = in_order(codes).reshape(192, 12)
    np.testing.assert_array_equal(out_of_order(stored, 192), codes)


def test_four_rows_are_a_piece_of_their_own(codes: npt.NDArray[np.int8]) -> None:
    pieces = [in_order(codes[i : i + 4]).tobytes() for i in range(0, 24, 4)]
    assert b"".join(pieces) == in_order(codes).tobytes()


def test_known_rows_have_the_known_scales_and_codes() -> None:
    rows = [[0.7, -0.35, 0.1, -0.7], [1.4, 0.2, -1.4, 0.5]]
    weight = np.zeros((4, 64), np.float16)
    weight[:2, :4] = rows
    packed = FT.pack(weight)
    assert packed["q_scale"].view(np.uint16).tolist() == [0x2E67, 0x3267, 0, 0]
    codes = out_of_order(packed["q_weight"], 64)
    assert codes[:2, :4].tolist() == [[7, -4, 1, -7], [7, 1, -7, 2]]
    assert not codes[:2, 4:].any()
    assert not codes[2:].any()
    found = FT.unpack(packed, 64)
    assert found[0, 0] == np.float16(7) * np.float16(0.10003662109375)


def test_a_round_trip_is_off_by_half_a_step_at_most() -> None:
    weight = np.random.default_rng(2).standard_normal((16, 128)).astype(np.float16)
    packed = FT.pack(weight)
    error = np.abs(FT.unpack(packed, 128) - weight.astype(np.float64))
    assert (error <= 0.51 * packed["q_scale"][:, None]).all()


def test_parts_keep_the_shapes_of_what_is_not_in_order() -> None:
    assert FT.parts("a.weight", (24, 192)) == {
        "a.q_weight": ((192, 12), "int8"),
        "a.q_scale": ((1, 24), "float16"),
    }
    with pytest.raises(UsageError, match=r"a\.weight is 24 x 96: .*multiple of 8 rows"):
        FT.parts("a.weight", (24, 96))


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (Layer("a.down_proj", "linear", (64, 96)), "ft"),
        (Layer("a.down_proj", "linear", (60, 96)), "group"),
        (Layer("a.down_proj", "linear", (64, 96), "float32"), "group"),
        (Layer("lm_head", "linear", (64, 96)), "group"),
        (Layer("embed_tokens", "embedding", (64, 96)), "group"),
        (Layer("mlp.gate", "linear", (64, 96)), None),
    ],
)
def test_what_cannot_be_so_is_in_groups(layer: Layer, kind: str | None) -> None:
    packing = SCHEME.packing(layer)
    assert (packing and packing.kind) == kind
    if kind == "group":
        assert packing == GroupPacking(4, 32, "float16")


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_weight_that_is_not_finite_shows_in_its_scale(bad: float) -> None:
    weight = np.ones((4, 64), np.float16)
    weight[2, 5] = bad
    packed = FT.pack(weight)
    assert not FT.is_finite(packed)
    assert np.isfinite(packed["q_scale"]).tolist() == [True, True, False, True]
