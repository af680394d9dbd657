"""Device presets: the host is found, or named so that another machine builds it."""

import platform

import pytest

from mlcx.compiler.targets import (
    TARGETS,
    check_code_generator,
    required_features,
    target_of,
)
from mlcx.errors import BuildError, UsageError
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
    with pytest.raises(UsageError, match="'toaster': expected one of cpu"):
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


@pytest.mark.parametrize("name", [name for name in DEVICES if name != "cpu"])
def test_the_target_of_a_preset_is_of_the_kind_that_specs_know(name: str) -> None:
    target = target_of(name, DEVICES[name].host)
    assert target.kind.name == DEVICES[name].kind
    if DEVICES[name].host != "auto":
        assert str(target.host.attrs["mtriple"]) == DEVICES[name].host


def test_presets_have_the_limits_that_mlc_gives_them() -> None:
    metal, adreno = target_of("iphone"), target_of("android:adreno")
    assert int(metal.attrs["max_threads_per_block"]) == 256
    assert int(metal.attrs["max_shared_memory_per_block"]) == 32768
    assert int(adreno.attrs["max_threads_per_block"]) == 512
    assert target_of("webgpu:subgroups").attrs["supports_subgroups"]


@pytest.mark.parametrize(
    ("text", "kind", "host"),
    [
        ('{"kind": "opencl", "device": "mali"}', "opencl", "aarch64-linux-gnu"),
        ("nvidia/geforce-rtx-4090", "cuda", "aarch64-linux-gnu"),
        ("llvm", "llvm", "aarch64-linux-gnu"),
        (
            '{"kind": "opencl", "host": {"kind": "llvm", '
            '"mtriple": "aarch64-linux-android24"}}',
            "opencl",
            "aarch64-linux-android24",
        ),
    ],
)
def test_any_target_of_tvm_is_a_device(text: str, kind: str, host: str) -> None:
    target = target_of(text, host="aarch64-linux-gnu")
    assert target.kind.name == kind
    assert str(target.host.attrs["mtriple"]) == host


def test_the_host_of_a_gpu_needs_no_more_than_a_baseline() -> None:
    target = target_of("opencl", host="x86_64-linux-gnu")
    assert required_features(target) == ["avx", "avx2", "fma", "f16c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "opencl"', "not JSON"),
        ('{"kind": "opencl", "cores": 1}', "Unknown config option 'cores'"),
        ("opencl -device=mali", "unknown device"),
    ],
)
def test_a_wrong_target_is_explained(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        target_of(text)


def test_what_this_tvm_cannot_compile_for_is_said() -> None:
    with pytest.raises(BuildError, match="has no code generator for vulkan"):
        check_code_generator(target_of("vulkan"))
