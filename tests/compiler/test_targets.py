"""Device presets: the host is found, or named so that another machine builds it."""

import platform

import pytest

from mlcx.compiler.targets import TARGETS, required_features, target_of
from mlcx.errors import UsageError
from mlcx.spec.devices import DEVICES


def test_every_device_of_a_spec_has_a_target() -> None:
    assert set(TARGETS) == set(DEVICES)


def test_this_machine_is_found() -> None:
    target = target_of("cpu")
    assert target.kind.name == "llvm"
    assert str(target.attrs["mtriple"]).startswith(platform.machine())
    assert target.attrs["mcpu"]


def test_a_named_host_gets_a_baseline_cpu() -> None:
    target = target_of("cpu", host="x86_64-unknown-linux-gnu")
    assert str(target.attrs["mcpu"]) == "x86-64-v3"


def test_a_named_cpu_is_taken() -> None:
    target = target_of("cpu", host="x86_64-unknown-linux-gnu", mcpu="znver4")
    assert str(target.attrs["mcpu"]) == "znver4"


def test_the_host_is_the_target_itself() -> None:
    target = target_of("cpu", host="aarch64-linux-gnu")
    assert str(target.host.attrs["mtriple"]) == "aarch64-linux-gnu"


def test_an_unknown_device_lists_those_that_exist() -> None:
    with pytest.raises(UsageError, match="'toaster': Expected one of cpu"):
        target_of("toaster")


@pytest.mark.parametrize("host", ["nonsense-x", "x86_64", "pdp11-linux-gnu"])
def test_an_unknown_host_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="expected a triple such as x86_64-linux-gnu"):
        target_of("cpu", host=host)


def test_an_unknown_cpu_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match=r"'znver44'.*did you mean 'znver4'\?"):
        target_of("cpu", host="x86_64-linux-gnu", mcpu="znver44")


@pytest.mark.parametrize(
    ("host", "mcpu", "features"),
    [
        ("x86_64-linux-gnu", "x86-64", []),
        ("x86_64-linux-gnu", "x86-64-v3", ["avx", "avx2", "fma", "f16c"]),
        ("aarch64-linux-gnu", "generic", []),
    ],
)
def test_what_a_cpu_must_have_is_known(
    host: str, mcpu: str, features: list[str]
) -> None:
    assert required_features(target_of("cpu", host, mcpu)) == features
