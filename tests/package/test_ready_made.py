"""Libraries from elsewhere: each that is not what the spec says is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from described import metadata, stamp, stored
from small_library import AARCH64, INTEL_MAC, X86_64, elf, macho, pe, tar, universal

from mlcx.errors import InputError
from mlcx.package.ready_made import Wanted, take_over

LINUX, ARM = "x86_64-linux-gnu", "aarch64-linux-gnu"
RECIPE = {"base": "q4f16_1", "layers": {"*.down_proj": "q0f16", "lm_head": "q0f16"}}
TURNED = {"base": "q4f16_1", "layers": {"lm_head": "q0f16", "*.down_proj": "q0f16"}}


def said(*, kind: str = "llvm", triple: str = LINUX, **changes: Any) -> bytes:
    """What a library of mlcx says."""
    recipe = changes.pop("recipe", None)
    target = {"kind": kind, "host": {"mtriple": triple}}
    device = {"llvm": "cpu"}.get(kind, kind)
    made = stamp(device=device, target=target, recipe=recipe)
    return stored(metadata(made, **changes))


JAVA = b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(5000)
METAL = said(kind="metal", triple="arm64-apple-macosx11.0.0")
INTEL = macho(machine=INTEL_MAC)
INTEL_METAL = macho(said(kind="metal", triple="x86_64-apple-macosx11.0.0"), INTEL_MAC)


def taken(folder: Path, content: bytes, suffix: str = ".so", **wanted: Any) -> bytes:
    """What ``content`` becomes below ``folder``; InputError: nothing."""
    source, target = folder / f"given{suffix}", folder / f"made{suffix}"
    source.write_bytes(content)
    try:
        take_over(source, target, **wanted)
    except InputError:
        assert not target.exists()
        raise
    return target.read_bytes()


@pytest.mark.parametrize(
    ("content", "suffix", "device", "host"),
    [
        (elf(content=said()), ".so", "cpu", LINUX),
        (elf(AARCH64, said(triple=ARM)), ".so", "cpu", ARM),
        (elf(content=stored(metadata())), ".so", "cpu", LINUX),  # of MLC LLM
        (elf(), ".so", "cuda", LINUX),
        # Where nobody says a host, all that some machine runs, built on any machine.
        (elf(), ".so", "opencl", "auto"),
        (elf(AARCH64), ".so", "opencl", "auto"),
        (elf(AARCH64, said(kind="opencl", triple=ARM)), ".so", "opencl", "auto"),
        (macho(), ".so", "cpu", "auto"),
        (pe(), ".so", "vulkan", "auto"),
        (pe(), ".dll", "vulkan", "auto"),
        # Of MLC LLM, for each that has a host of its own.
        (elf(AARCH64), ".so", "mali", "auto"),
        (pe(), ".dll", "windows:adreno_x86", "auto"),
        (tar(macho(stored(metadata()))), ".tar", "iphone", "auto"),
        (tar(elf(AARCH64, stored(metadata()))), ".tar", "android", "auto"),
        (b"\0asm\1\0\0\0", ".wasm", "webgpu", "auto"),
        (elf(AARCH64), ".so", "android:adreno-so", "auto"),
        (macho(), ".so", None, "auto"),
        (macho(), ".dylib", "metal", "auto"),
        (universal(macho(), INTEL), ".dylib", "metal", "auto"),
        (universal(macho(), INTEL, wide=True), ".dylib", "metal:x86-64", "auto"),
        (universal(INTEL), ".so", "cpu", "auto"),
        (universal(macho(METAL), INTEL_METAL), ".dylib", "metal", "auto"),
        (tar(macho(), macho()), ".tar", "iphone", "auto"),
        (tar(elf(AARCH64)), ".tar", "android", "auto"),
    ],
)
def test_a_library_for_the_device_is_copied(
    tmp_path: Path, content: bytes, suffix: str, device: str | None, host: str
) -> None:
    assert taken(tmp_path, content, suffix, device=device, host=host) == content


@pytest.mark.parametrize(
    ("content", "suffix", "device", "message"),
    [
        (
            b'{"a": 1}',
            ".so",
            None,
            r"\.so library \(ELF or Mach-O\), found no comp",
        ),
        (b'{"a": 1}', ".so", "cpu", r"for cpu \(ELF for x86_64\), found no compiled"),
        (
            b"\0asm\1\0\0\0",
            ".so",
            "opencl",
            r"for opencl \(ELF or Mach-O or PE\), found WebAssembly for wasm32: give",
        ),
        (universal(INTEL), ".dylib", "metal", "aarch64.*, found Mach-O for x86_64:"),
        (universal(macho(), INTEL), ".so", "mali", "found Mach-O for aarch64 and x86_"),
        (JAVA, ".dylib", "metal", "found no compiled code"),
        (universal(macho(METAL))[:4100], ".dylib", "metal", "cut off: expected .* 4"),
        (universal(INTEL_METAL, macho()), ".dylib", "metal", "metal on x86_64-apple"),
        (tar(elf()), ".so", "opencl", "for opencl .*, found a tar archive with ELF"),
        (
            elf(content=said()),
            ".so",
            "opencl",
            "for opencl, found one for cpu on x86_6",
        ),
        (elf(), ".so", "mali", r"for mali \(ELF for aarch64\), found ELF for x86_64"),
        (elf(), ".tar", None, "expected a .tar library .* found ELF for x86_64: give"),
        (elf(), ".so", "android:adreno-so", "ELF for aarch64.*, found ELF for x86_64"),
        (
            tar(elf()),
            ".tar",
            "iphone",
            "Mach-O for aarch64.*, found a tar archive with",
        ),
        (
            tar(macho(), elf()),
            ".tar",
            "iphone",
            "ELF for x86_64 and Mach-O for aarch64",
        ),
        (tar(b"text"), ".tar", "iphone", "a tar archive with no compiled code"),
        (
            elf(AARCH64, said(triple=ARM)),
            ".so",
            "android:adreno-so",
            "expected a library for android:adreno-so, found one for cpu on aarch64-li",
        ),
        (
            elf(content=said()),
            ".so",
            "cuda",
            "for cuda, found one for cpu on x86_64-li",
        ),
    ],
)
def test_a_library_of_another_kind_is_refused(
    tmp_path: Path, content: bytes, suffix: str, device: str | None, message: str
) -> None:
    host = LINUX if device in ("cpu", "cuda") else "auto"
    with pytest.raises(InputError, match=message):
        taken(tmp_path, content, suffix, device=device, host=host)


def test_a_library_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = bytearray(elf(X86_64, bytes(200)))
    whole[40:48] = (200).to_bytes(8, "little")  # a table of one section
    whole[58:62] = b"\x40\0\x01\0"
    assert taken(tmp_path, bytes(whole))
    (tmp_path / "made.so").unlink()
    for content, suffix, where in (
        (bytes(whole[:250]), ".so", r"given\.so: "),
        (tar(bytes(whole[:250])), ".tar", r"given\.tar: lib0\.o in it is "),
    ):
        message = f"{where}cut off: expected 264 bytes or more, found 250: copy or"
        with pytest.raises(InputError, match=message):
            taken(tmp_path, content, suffix)


@pytest.mark.parametrize(
    ("config", "quantization", "says", "found"),
    [
        ({"model_type": "llama"}, "q4f16_1", {}, ""),
        (
            {"model_type": "llama"},
            "q4f16_1",
            {"model_type": "qwen3"},
            "qwen3 at q4f16_1",
        ),
        ({"model_type": "llama"}, "q0f16", {}, "llama at q4f16_1"),
        # One architecture of two names.
        ({"model_type": "gemma3"}, "q4f16_1", {"model_type": "gemma3_text"}, ""),
        ({"model_type": "llama", "quantization": "q4f16_1"}, "auto", {}, ""),
        (
            {"model_type": "llama", "quantization": "q0f16"},
            "auto",
            {},
            "llama at q4f16_1",
        ),
        ({"model_type": "llama"}, RECIPE, {"recipe": RECIPE}, ""),
        ({"model_type": "llama"}, TURNED, {"recipe": RECIPE}, "llama at q4f16_1"),
        ({"model_type": "llama"}, "q4f16_1", {"recipe": RECIPE}, "llama at q4f16_1"),
    ],
)
def test_a_library_of_another_model_is_refused(
    tmp_path: Path, config: dict, quantization: Any, says: dict, found: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    if isinstance(quantization, dict):
        quantization = json.dumps({"name": "mine", **quantization})
    models = [Wanted(file, quantization)]
    content = elf(content=said(**says))
    if not found:
        assert taken(tmp_path, content, models=models) == content
        return
    kind = config["model_type"]
    message = (
        rf"expected a library of .*config\.json, {kind} at .*, found one of {found}"
    )
    with pytest.raises(InputError, match=message):
        taken(tmp_path, content, models=models)


def test_what_mlc_llm_made_is_believed(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"model_type": "llama"}')
    content = elf(content=stored(metadata(model_type="qwen3")))
    assert taken(tmp_path, content, models=[Wanted(file, "q4f16_1")]) == content
