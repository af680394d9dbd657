"""Which architectures a target names, and what its kernels are scheduled for."""

import pytest
from tvm.target import Target

from mlcx.compiler.cuda.archs import archs_of, scheduling_target, with_archs
from mlcx.errors import UsageError


def cuda(arch: str) -> Target:
    host = {"kind": "llvm", "mtriple": "aarch64-linux-gnu"}
    limits = {"max_threads_per_block": 512}
    return Target({"kind": "cuda", "arch": arch, **limits}, host=host)


def test_a_target_names_one_or_several() -> None:
    assert archs_of(cuda("sm_90a")) == ("sm_90a",)
    assert archs_of(cuda("sm_90a,sm_80")) == ("sm_80", "sm_90a")
    assert archs_of(Target("nvidia/geforce-rtx-4090")) == ("sm_89",)
    assert archs_of(Target("opencl")) == ()


def test_a_target_that_nothing_is_compiled_for_is_refused() -> None:
    with pytest.raises(UsageError, match="'sm_61': expected some of sm_75, sm_80"):
        archs_of(Target("nvidia/geforce-gtx-1080"))


def test_kernels_are_scheduled_for_the_oldest_without_its_letter() -> None:
    scheduled = scheduling_target(cuda("sm_100,sm_90a"))
    assert scheduled.attrs["arch"] == "sm_90"
    assert scheduled.attrs["max_threads_per_block"] == 512
    assert scheduled.host.attrs["mtriple"] == "aarch64-linux-gnu"


def test_other_targets_stay_as_they_are() -> None:
    target = Target({"kind": "opencl"})
    assert scheduling_target(target) is target


def test_another_architecture_changes_nothing_else() -> None:
    tagged = Target("nvidia/geforce-rtx-4090")
    changed = with_archs(tagged, ["sm_80", "sm_90a"])
    assert changed.attrs["arch"] == "sm_80,sm_90a"
    before = {**tagged.export(), "arch": None}
    assert {**changed.export(), "arch": None} == before
