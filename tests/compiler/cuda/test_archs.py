"""Which architectures a target names, and what its kernels are scheduled for."""

import pytest
from tvm.target import Target

from mlcx.compiler.cuda.archs import archs_of, forward_arch, scheduling_target
from mlcx.errors import UsageError


def cuda(arch: str) -> Target:
    return Target({"kind": "cuda", "arch": arch, "max_threads_per_block": 512})


@pytest.mark.parametrize(
    ("text", "archs"),
    [
        ("sm_80", ("sm_80",)),
        ("sm_90a", ("sm_90a",)),
        ("sm_120,sm_90a,sm_80,sm_90", ("sm_80", "sm_90", "sm_90a", "sm_120")),
        ("sm_86,sm_86", ("sm_86",)),
    ],
)
def test_architectures_are_told_apart_and_ordered(
    text: str, archs: tuple[str, ...]
) -> None:
    assert archs_of(cuda(text)) == archs


@pytest.mark.parametrize("text", ["sm_80,", "sm_60", "sm_90x", "sm_80 sm_90", "sm_8"])
def test_an_architecture_that_nothing_is_compiled_for_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected some of sm_75, .*sm_121, with"):
        archs_of(cuda(text))


def test_kernels_are_scheduled_for_the_oldest_without_its_letter() -> None:
    scheduled = scheduling_target(cuda("sm_100,sm_90a"))
    assert scheduled.attrs["arch"] == "sm_90"
    assert scheduled.attrs["max_threads_per_block"] == 512


def test_the_host_stays(subtests: pytest.Subtests) -> None:
    for host in ({"kind": "llvm", "mtriple": "aarch64-linux-gnu"}, None):
        with subtests.test(host=host):
            target = cuda("sm_90a")
            whole = Target(target, host=host) if host else target
            kept = scheduling_target(whole).host
            assert str(kept) == str(whole.host)


def test_other_targets_stay_as_they_are() -> None:
    target = Target({"kind": "opencl"})
    assert scheduling_target(target) is target


def test_later_gpus_are_given_the_latest_that_is_not_for_one_alone() -> None:
    assert forward_arch(("sm_80", "sm_90", "sm_100a")) == "sm_90"
    assert forward_arch(("sm_90a",)) is None
