"""What schedules need of TVM's matrix units, and no more; frames as they were."""

import inspect

import pytest
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
