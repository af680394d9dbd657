"""A machine is described by what LLVM decides by, and by nothing else."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.signature import inputs, machine

Describe = Callable[[str], str]

# As kernels write them, shortened.
AMD = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC 7763
stepping\t: 1
microcode\t: 0xa0011d5
cpu MHz\t\t: 2445.404
flags\t\t: fpu sse sse2 pni avx fma avx2 adx sha_ni
bogomips\t: 4890.80

processor\t: 1
vendor_id\t: AuthenticAMD
flags\t\t: other
"""
CLOUD = AMD.replace("sha_ni", "sha_ni hypervisor constant_tsc tsc_known_freq arat ibpb")
GRAVITON = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd sve
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Describe:
    monkeypatch.setattr(platform, "node", lambda: "mine")

    def describe(text: str) -> str:
        (tmp_path / "cpuinfo").write_text(text)
        return machine.cpu(tmp_path / "cpuinfo").removeprefix(platform.machine())

    return describe


def test_x86_is_its_vendor_its_model_and_what_llvm_asks_for(said: Describe) -> None:
    flags = "adx avx avx2 fma pni sha_ni sse sse2"
    expected = f", vendor_id AuthenticAMD, cpu family 25, model 1, {flags}"
    assert said(AMD) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AMD, CLOUD),
        (AMD, AMD.replace("0xa0011d5", "0xa0011d6").replace("2445.4", "3000.1")),
        (GRAVITON, GRAVITON.replace("sve", "sve ecv wfxt").replace("2100", "50")),
    ],
)
def test_a_kernel_a_hypervisor_or_microcode_makes_no_other_machine(
    said: Describe, one: str, other: str
) -> None:
    assert said(one) == said(other)


@pytest.mark.parametrize(
    ("one", "old", "new"),
    [
        (AMD, "model\t\t: 1", "model\t\t: 17"),  # znver4
        (AMD, "family\t: 25", "family\t: 26"),  # znver5
        (AMD, "AuthenticAMD", "GenuineIntel"),
        (AMD, "sha_ni", "sha_ni avx512_vnni"),  # tells cascadelake from skylake-avx512
        (GRAVITON, "0xd40", "0xd4f"),  # neoverse-v2
        (GRAVITON, "0x41", "0xc0"),
    ],
)
def test_what_llvm_tells_apart_are_two_machines(
    said: Describe, one: str, old: str, new: str
) -> None:
    assert said(one) != said(one.replace(old, new))


def test_cores_of_two_kinds_are_both_named(said: Describe) -> None:
    both = said(GRAVITON + GRAVITON.replace("0xd40", "0xd03"))
    assert both.endswith("0x1, CPU part 0xd40, CPU part 0xd03")


@pytest.mark.parametrize("text", ["", "flags\t: hypervisor\n", "processor\t: 0\n"])
def test_of_an_unknown_cpu_only_this_machine_shares(said: Describe, text: str) -> None:
    assert said(text) == ", mine"


class Mac:
    """One whose sysctl answers as Apple's does."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.none = tmp_path / "none"
        self._sysctl = tmp_path / "sysctl"
        self._patch = monkeypatch
        monkeypatch.setattr("sys.platform", "darwin")
        monkeypatch.setattr(platform, "processor", lambda: "arm")
        monkeypatch.setattr(platform, "node", lambda: "mine")
        monkeypatch.setattr(machine, "_SYSCTL", str(self._sysctl))

    def cpu(self, architecture: str, **answers: str) -> str:
        self._patch.setattr(platform, "machine", lambda: architecture)
        cases = "".join(
            f"{name.replace('_', '.')}) echo '{answer}';;"
            for name, answer in answers.items()
        )
        lines = ["#!/bin/sh", "shift", 'for name in "$@"; do case $name in', cases]
        self._sysctl.write_text("\n".join([*lines, "*) exit 1;; esac; done", ""]))
        self._sysctl.chmod(0o755)
        return machine.cpu(self.none)


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    return Mac(tmp_path, monkeypatch)


def test_macs_of_two_generations_differ(mac: Mac) -> None:
    m1, m4 = "458787763", "1975264348"  # of mach/machine.h
    assert mac.cpu("arm64", hw_cpufamily=m1) == f"arm64, {m1}"
    assert mac.cpu("arm64", hw_cpufamily=m4) == f"arm64, {m4}"


def test_macs_with_an_intel_are_their_model(mac: Mac) -> None:
    names = ("vendor", "family", "model", "stepping")
    values = ("GenuineIntel", "6", "85", "4")
    answers = {
        f"machdep_cpu_{name}": value for name, value in zip(names, values, strict=True)
    }
    assert mac.cpu("x86_64", **answers) == "x86_64, GenuineIntel, 6, 85, 4"


def test_a_mac_that_does_not_say_shares_with_itself_alone(mac: Mac) -> None:
    assert mac.cpu("arm64") == "arm64, mine"


@pytest.mark.usefixtures("mac")
def test_a_macs_release_counts_for_its_libraries_hold_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = set()
    for release in ("24.1.0", "25.0.0"):
        monkeypatch.setattr(platform, "release", lambda release=release: release)
        inputs.host.cache_clear()
        texts.add(str(inputs.host(with_cpu=False)))
    inputs.host.cache_clear()
    assert {text.rpartition(", ")[2] for text in texts} == {
        "system darwin 24.1.0",
        "system darwin 25.0.0",
    }


def test_elsewhere_the_release_of_the_system_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert machine.system() == "linux"


def test_this_machine_is_described_the_same_twice() -> None:
    first = machine.cpu()
    assert first.startswith(f"{platform.machine()}, ")
    assert machine.cpu() == first
