"""Libraries of every format: what they are, say and have is found in each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from described import metadata, stamp, stored

from mlcx.errors import InputError
from mlcx.library.contents import Contents, read
from mlcx.library.members import members
from mlcx.toolchain import products, zig
from mlcx.toolchain.triple import parse

Build = Callable[..., Path]

needs_zig = pytest.mark.skipif(zig.program() is None, reason="needs ziglang")
LINUX, ARM = "x86_64-linux-gnu", "aarch64-linux-gnu"
ANDROID = "aarch64-linux-android24"
MAC, IPHONE = "arm64-apple-macosx11.0.0", "arm64-apple-ios14.0"
WINDOWS, WEB = "x86_64-pc-windows-msvc", "wasm32-unknown-unknown-wasm"

FORMATS = [
    ("cpu", LINUX, ".tar", "ELF", "x86_64", ""),
    ("cpu", ARM, ".so", "ELF", "aarch64", ""),
    ("cpu", MAC, ".dylib", "Mach-O", "aarch64", "macos 11.0"),
    ("cpu", WINDOWS, ".dll", "PE", "x86_64", ""),
    ("metal", IPHONE, ".a", "Mach-O", "aarch64", "ios 14.0"),
    ("opencl", ARM, ".so", "ELF", "aarch64", ""),
    ("webgpu", WEB, ".wasm", "WebAssembly", "wasm32", ""),
]


def kernels(contents: Contents) -> list[tuple[str, str, tuple[str, ...]]]:
    """Kind, format and names of the kernels of the only model."""
    (model,) = contents.models
    assert model.executable is not None
    found = model.executable.devices
    return [(each.kind, each.format, each.kernels) for each in found]


@needs_zig
@pytest.mark.parametrize(
    ("device", "triple", "suffix", "form", "architecture", "platform"), FORMATS
)
def test_every_format_says_what_it_is_and_has(
    build: Build,
    device: str,
    triple: str,
    suffix: str,
    form: str,
    architecture: str,
    platform: str,
) -> None:
    prefix = "tiny_" if suffix in (".tar", ".a") else None
    contents = read(build(device, triple, suffix, prefix))
    kinds = {part.header for part in contents.parts}
    assert {each.format for each in kinds if each} == {form}
    assert {each.architecture for each in kinds if each} == {architecture}
    assert {each.platform for each in kinds if each} == {platform}
    (model,) = contents.models
    assert model.description.stamp is not None
    assert model.description.stamp.device == device
    assert model.executable is not None
    functions = {each.name: each.arguments for each in model.executable.functions}
    assert functions == {"twice": 1, "_metadata": 0}
    assert f"{prefix or ''}add" in model.host_functions


@needs_zig
@pytest.mark.parametrize(
    ("device", "triple", "suffix", "expected"),
    [
        ("opencl", ARM, ".so", ("opencl", "cl", ("add_kernel",))),
        ("metal", IPHONE, ".a", ("metal", "metal", ("tiny_add_kernel",))),
        ("webgpu", WEB, ".wasm", ("webgpu", "", ("add_kernel",))),
    ],
)
def test_the_kernels_of_a_device_are_named(
    build: Build, device: str, triple: str, suffix: str, expected: tuple
) -> None:
    prefix = "tiny_" if suffix == ".a" else None
    assert kernels(read(build(device, triple, suffix, prefix))) == [expected]


@needs_zig
@pytest.mark.parametrize("prefixes", [("one_", "two_"), ("tales_", "tales_two_")])
def test_every_model_of_an_app_is_told_apart(
    build: Build, tmp_path: Path, prefixes: tuple[str, str]
) -> None:
    objects = []
    for prefix in prefixes:
        folder = tmp_path / prefix
        folder.mkdir()
        for member in members(build("opencl", ANDROID, ".tar", prefix))[1]:
            objects.append(folder / member.name)
            objects[-1].write_bytes(member.data)
    (tmp_path / "made").mkdir()
    app = products.make(objects, ".a", parse(ANDROID), tmp_path / "made")
    assert [part.name for part in read(app).parts].count("lib0.o") == 2
    models = read(app).models
    for prefix, model in zip(prefixes, models, strict=True):
        assert model.host_functions == (f"{prefix}add", f"{prefix}shape_func")
        assert model.description.stamp is not None
        assert model.description.stamp.system_lib_prefix == prefix


def test_the_bytes_of_weights_follow_from_their_shapes(tmp_path: Path) -> None:
    shapes = [("float16", [3, 5]), ("uint32", [2]), ("e4m3_float8", [4]), ("bool", [1])]
    params = [{"name": "x", "dtype": dtype, "shape": size} for dtype, size in shapes]
    library = tmp_path / "x.so"
    library.write_bytes(stored(metadata(stamp(), params=params)))
    assert read(library).models[0].parameter_bytes == 30 + 8 + 4 + 1
    params.append({"name": "y", "dtype": "float32", "shape": ["vocab_size", 2]})
    library.write_bytes(stored(metadata(stamp(), params=params)))
    assert read(library).models[0].parameter_bytes is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found no compiled code and no model"),
        (b"text", "found no compiled code and no model"),
        (b"!<arch>\n", "found an ar archive with no compiled code and no model"),
        (b"!<arch>\nx", "a damaged archive: no header of a member at byte 8"),
        (b"\0asm\1\0\0\0\x0b\x7f", "is damaged: expected 127 bytes at 10"),
    ],
)
def test_a_file_that_is_no_library_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(file)


@needs_zig
def test_a_library_cut_short_is_refused(build: Build, tmp_path: Path) -> None:
    whole = build("opencl", ARM, ".so").read_bytes()
    file = tmp_path / "x.so"
    start = whole.index(b'{"mlcx": ')
    file.write_bytes(whole[: start + 100])
    with pytest.raises(InputError, match="and no model"):
        read(file)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read(tmp_path)
