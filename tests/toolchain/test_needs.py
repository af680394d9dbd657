"""What libraries need, and how a missing tool is refused."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mlcx.errors import BuildError
from mlcx.spec.devices import DEVICES
from mlcx.toolchain import needs, tools
from mlcx.toolchain.triple import AUTO, parse

ROOT = Path(__file__).parents[2]
WEB = "wasm32-unknown-unknown-wasm"


@pytest.mark.parametrize(
    ("kind", "host", "suffix", "names"),
    [
        ("llvm", AUTO, ".so", "tvm linker"),
        ("llvm", AUTO, ".tar", "tvm"),
        ("llvm", "arm64-apple-ios14.0", ".a", "tvm zig"),
        ("opencl", "x86_64-pc-windows-msvc", ".dll", "tvm zig"),
        ("metal", "arm64-apple-macosx11.0.0", ".dylib", "tvm zig"),
        ("cuda", AUTO, ".so", "tvm linker nvrtc"),
        ("rocm", AUTO, ".so", "tvm linker zig rocm-device-libs"),
        ("vulkan", AUTO, ".so", "tvm linker vulkan code generator"),
        ("webgpu", WEB, ".wasm", "tvm zig emscripten emscripten sysroot"),
    ],
)
def test_a_library_needs_what_its_kernels_and_its_format_do(
    kind: str, host: str, suffix: str, names: str
) -> None:
    found = needs.needs(kind, parse(host), suffix)
    assert " ".join(need.tool.name for need in found) == names


@pytest.mark.parametrize(
    ("system", "machine", "suffix"),
    [
        ("darwin", "arm64", ".so"),
        ("darwin", "x86_64", ".so"),
        ("win32", "AMD64", ".dll"),
    ],
)
def test_a_mac_and_windows_link_for_themselves_by_zig(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, suffix: str
) -> None:
    """As the README's first command does, which installs it there."""
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert DEVICES["cpu"].suffixes(AUTO)[0] == suffix
    found = needs.needs("llvm", parse(AUTO), suffix)
    assert [need.tool.name for need in found] == ["tvm", "zig"]
    installed = [Requirement(text) for text in for_tests()]
    (zig,) = (each for each in installed if each.name == "ziglang")
    assert zig.marker is not None
    assert zig.marker.evaluate({"sys_platform": system})
    assert not zig.marker.evaluate({"sys_platform": "linux"})


def for_tests() -> list[str]:
    """Return what the extra ``test`` installs."""
    text = (ROOT / "pyproject.toml").read_text()
    found = text.partition("\ntest = [")[2].partition("\n]")[0]
    return re.findall('^    "([^"]+)"', found, re.MULTILINE)


def test_several_architectures_take_one_more_tool() -> None:
    found = needs.needs("cuda", parse(AUTO), ".tar", ("sm_80", "sm_90a"))
    assert [need.tool.name for need in found] == ["tvm", "nvrtc", "fatbinary"]


def test_every_need_has_a_tool_and_every_tool_a_remedy() -> None:
    assert all(tool.remedy and tool.purpose for tool in tools.TOOLS.values())
    assert all(name in tools.TOOLS for kind in needs._OF_KIND.values() for name in kind)


def test_what_is_missing_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools, "folder_of", lambda _: None)
    monkeypatch.setattr(tools.zig, "program", lambda: None)
    monkeypatch.setattr(tools.nvrtc, "home", lambda: None)
    with pytest.raises(BuildError) as caught:
        needs.require("cuda", "cuda", parse(AUTO), ".so")
    heading, tvm, linker, nvrtc = str(caught.value).splitlines()
    assert heading == "tools are missing:"
    assert tvm.startswith("  tvm, which generates code, for cuda: pip install apache-")
    assert "install binutils, or pip install 'mlcx[cross]'" in linker
    assert nvrtc.endswith(", for cuda: pip install 'mlcx[cuda]'")


def test_a_missing_tool_is_named_once_whoever_needs_it() -> None:
    zig, linker = tools.TOOLS["zig"], tools.TOOLS["linker"]
    lacks = [needs.Lack(device, zig) for device in ("metal", "iphone", "metal")]
    whole = f"zig, which links and archives and is missing: {zig.remedy}"
    assert needs.report(lacks[:1]) == f"metal needs {whole}"
    assert needs.report(lacks) == f"metal, iphone need {whole}"
    assert needs.report([*lacks, needs.Lack("cpu", linker)]).splitlines() == [
        "tools are missing:",
        f"  zig, which links and archives, for metal, iphone: {zig.remedy}",
        f"  linker, which links for this machine, for cpu: {linker.remedy}",
    ]
    assert needs.report([]) == ""


def test_a_part_is_not_asked_for_beside_the_tool_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools.zig, "program", lambda: Path("zig"))
    monkeypatch.setattr(tools.emscripten, "program", lambda: None)
    said = needs.refusal("webgpu", needs.needs("webgpu", parse(WEB), ".wasm"))
    assert said.endswith("is missing: apt-get install emscripten")
    assert len(said.splitlines()) == 1


def test_another_version_is_another_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    signatures = []
    for program, own, links in (
        ("gcc", "gcc 12.2", "ld 2.40"),
        ("gcc", "gcc 13.1", "ld 2.40"),
        ("gcc", "gcc 13.1", "ld 2.41"),  # as after an upgrade of binutils alone
        ("ld", "ld 2.41", ""),
    ):
        file = tmp_path / program
        text = f'case "$1" in --version) echo {own};; *) echo {links};; esac; echo more'
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        tools._says.cache_clear()
        found = needs.needs("llvm", parse("auto"), ".so")
        signatures.append(needs.versions(found)["linker"])
    tools._says.cache_clear()
    assert signatures == [
        "gcc 12.2 with ld 2.40",
        "gcc 13.1 with ld 2.40",
        "gcc 13.1 with ld 2.41",
        "ld 2.41",
    ]


def test_vulkan_is_there_once_the_compiler_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    library = tmp_path / "lib" / "libtvm_compiler.so"
    monkeypatch.setattr(tools, "folder_of", lambda _: tmp_path)
    library.write_bytes(b"..target.build.opencl..")
    assert tools.TOOLS["vulkan code generator"].find() is None
    library.write_bytes(b"..target.build.vulkan..")
    found = tools.TOOLS["vulkan code generator"].find()
    assert found is not None
    assert found.path == str(library)


def test_the_versions_of_tvm_are_those_that_mlcx_installs() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{name}=={version}"' in text for name, version in tools.TVM.items())
