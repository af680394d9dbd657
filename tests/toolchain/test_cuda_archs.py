"""Architectures of NVIDIA's GPUs, as texts name them."""

import pytest

from mlcx.errors import UsageError
from mlcx.toolchain.cuda_archs import canonical, forward, number


@pytest.mark.parametrize(
    ("text", "archs"),
    [
        ("sm_80", ("sm_80",)),
        ("80,86,90a", ("sm_80", "sm_86", "sm_90a")),
        ("sm_120,sm_90a,sm_80,90", ("sm_80", "sm_90", "sm_90a", "sm_120")),
        ("sm_100f,100f,100", ("sm_100", "sm_100f")),
    ],
)
def test_architectures_are_told_apart_and_ordered(
    text: str, archs: tuple[str, ...]
) -> None:
    assert canonical(text) == archs


@pytest.mark.parametrize("text", ["", "80,", "sm_60", "90x", "sm_80 sm_90", "80;90"])
def test_what_there_is_no_compiler_for_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected some of sm_75, .*sm_121, with"):
        canonical(text)


def test_later_gpus_are_given_the_latest_that_is_not_for_one_alone() -> None:
    assert forward(("sm_80", "sm_90", "sm_100a")) == "sm_90"
    assert forward(("sm_90a",)) is None


def test_a_letter_is_no_part_of_the_number() -> None:
    assert (number("sm_90a"), number("sm_120")) == (90, 120)
