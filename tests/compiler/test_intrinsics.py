"""What schedules need of TVM's matrix units, and no more; frames as they were."""

import inspect

import pytest
import tvm
from tvm.s_tir import TensorIntrin
from tvm.target import Target

from mlcx.compiler.frames import plain_frames
from mlcx.compiler.intrinsics import load_intrinsics


def test_one_kind_of_devices_has_its_intrinsics() -> None:
    load_intrinsics(Target("metal"))
    from tvm.s_tir.tensor_intrin.metal import get_simdgroup_intrin_group

    group = get_simdgroup_intrin_group(
        load_scope="shared", store_scope="shared", dtype="float16", trans_a=False
    )
    assert all(TensorIntrin.get(name) is not None for name in group.values())


def test_what_no_schedule_asks_for_is_not_parsed_and_the_rest_as_tvm_does_it() -> None:
    load_intrinsics(Target({"kind": "cuda", "arch": "sm_80"}))
    from tvm.s_tir.tensor_intrin import cuda

    group = cuda.get_wmma_intrin_group(
        load_scope="shared.dyn",
        store_scope="shared.dyn",
        in_dtype="float16",
        out_dtype="float32",
        trans_b=True,
    )
    assert all(TensorIntrin.get(name) is not None for name in group.values())
    desc, impl = cuda.get_wmma_fill_intrin(16, 16, 16, "float32")
    fill = TensorIntrin.get(group["init"])
    tvm.ir.assert_structural_equal(fill.desc, desc)
    tvm.ir.assert_structural_equal(fill.impl, impl)
    assert TensorIntrin.get("mma_i8i8i32", allow_missing=True) is None


def test_frames_have_no_lines_meanwhile_and_have_them_again() -> None:
    with plain_frames():
        first, *_ = inspect.stack()
        assert first.frame is inspect.currentframe()
        assert (first.function, first.code_context) == (
            "test_frames_have_no_lines_meanwhile_and_have_them_again",
            None,
        )
    with pytest.raises(ZeroDivisionError), plain_frames():
        1 / 0  # noqa: B018
    assert inspect.stack()[0].code_context is not None
