"""Compiled packing against numpy's, and where there is none."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from mlcx.quant import compiled as module
from mlcx.quant.compiled import CompiledGroupPacking, compiled
from mlcx.quant.group import GroupPacking
from mlcx.quant.plain import Array, dtype_named

HALF = GroupPacking(4, 32, "float16")
BRAIN = GroupPacking(4, 32, "bfloat16")
PACKINGS = (
    HALF,
    BRAIN,
    GroupPacking(4, 32, "float32"),
    GroupPacking(3, 40, "float16"),
    replace(HALF, layout="KN"),
    replace(BRAIN, layout="KN"),
)


def name(packing: GroupPacking) -> str:
    return f"{packing.bits}-{packing.model_dtype}-{packing.layout}"


def check(packing: GroupPacking, weight: Array) -> None:
    fast = compiled(packing)
    assert isinstance(fast, CompiledGroupPacking)
    found, expected = fast.pack(weight), packing.pack(weight)
    for part in expected:
        assert found[part].shape == expected[part].shape
        np.testing.assert_array_equal(found[part], expected[part])


@pytest.mark.parametrize("packing", PACKINGS, ids=name)
@pytest.mark.parametrize("exponents", ["all", "few"])
def test_random_bits_pack_to_the_same_bytes(
    packing: GroupPacking, exponents: str
) -> None:
    dtype = dtype_named(packing.model_dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    rng = np.random.default_rng(0)
    shape = (999, 3 * packing.group_size)
    bits = rng.integers(0, np.iinfo(unsigned).max, shape, unsigned, endpoint=True)
    infinity = np.array(np.inf, dtype).view(unsigned)
    if exponents == "few":
        # Four in a row: more codes lie close to where they change.
        others = unsigned.type(3 << ml_dtypes.finfo(dtype).nmant) ^ infinity
        bits = bits & ~others | bits[:, :1] & others
    bits[bits & infinity == infinity] = 0
    check(packing, bits.view(dtype))


@pytest.mark.parametrize("packing", PACKINGS, ids=name)
@pytest.mark.parametrize("columns", [1, 33, 120])
def test_rows_that_end_within_a_group_pack_to_the_same_bytes(
    packing: GroupPacking, columns: int
) -> None:
    values = np.random.default_rng(columns).standard_normal((7, columns)) * 0.02
    values[2] = 0
    check(packing, values.astype(dtype_named(packing.model_dtype)))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("packing", PACKINGS, ids=name)
def test_a_weight_that_is_not_finite_shows_in_its_scale_only(
    packing: GroupPacking, bad: float
) -> None:
    weight = np.ones((1, 240), dtype_named(packing.model_dtype))
    weight[0, -1] = bad
    scales = CompiledGroupPacking(**vars(packing)).pack(weight)["q_scale"].reshape(-1)
    finite = np.isfinite(scales.astype(np.float32))
    assert finite[:-1].all()
    assert not finite[-1]


def test_weights_that_cannot_be_written_to_are_packed() -> None:
    weight = np.frombuffer(bytes(range(64)), np.float16).reshape(1, 32)
    check(HALF, weight)


def test_a_machine_without_the_instructions_packs_with_numpy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_target", lambda: None)
    assert compiled(HALF) is HALF


def test_what_is_not_in_groups_is_left_as_it_is() -> None:
    assert compiled(None) is None
