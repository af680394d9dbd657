"""Products: of the right format, complete, and the same whoever makes them.

Those of other platforms need the extra ``cross-test``.
"""

import ctypes
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from mlcx.errors import BuildError
from mlcx.toolchain import products, zig
from mlcx.toolchain.triple import AUTO, parse

needs_zig = pytest.mark.skipif(zig.program() is None, reason="needs ziglang")
Objects = Callable[..., list[Path]]
MATH = "api-ms-win-crt-math-l1-1-0.dll"


@pytest.fixture
def made(objects: Objects, tmp_path: Path) -> Callable[..., Path]:
    """Return a function from a triple and a suffix to the product."""

    def make(triple: str, suffix: str, folder: str = "made") -> Path:
        parsed, place = parse(triple), tmp_path / folder
        place.mkdir()
        existing = tmp_path / f"objects-{triple}-None"
        given = list(existing.iterdir()) if existing.exists() else objects(triple)
        return products.make(given, suffix, parsed, place)

    return make


def run(library: Path) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())
    x = tvm.runtime.tensor(np.array([0.0, 1.0, -2.0], "float32"))
    return machine["main"](x).numpy()


def test_this_machines_linker_makes_what_it_runs(made: Callable[..., Path]) -> None:
    expected = np.exp(np.array([0.0, 1.0, -2.0]))
    np.testing.assert_allclose(run(made(AUTO, ".so")), expected, rtol=1e-6)


@pytest.mark.parametrize("linker", products.LINKERS)
def test_what_this_machine_links_depends_on_no_variable(
    made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, linker: str
) -> None:
    path = shutil.which(linker)
    if path is None:
        pytest.skip(f"needs {linker}")
    monkeypatch.setattr(products, "native_linker", lambda: path)
    before = made(AUTO, ".so").read_bytes()
    monkeypatch.setenv("LD_RUN_PATH", "/somewhere/else")
    monkeypatch.setenv("LIBRARY_PATH", "/somewhere/else")
    assert made(AUTO, ".so", "again").read_bytes() == before


@needs_zig
def test_zig_links_where_there_is_no_other_linker(
    made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "native_linker", lambda: None)
    expected = np.exp(np.array([0.0, 1.0, -2.0]))
    np.testing.assert_allclose(run(made(AUTO, ".so")), expected, rtol=1e-6)


def test_without_any_linker_the_remedy_is_named(
    made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "native_linker", lambda: None)
    monkeypatch.setattr(zig, "program", lambda: None)
    with pytest.raises(BuildError, match=r"pip install 'mlcx\[cross\]'"):
        made(AUTO, ".so")


def test_what_a_system_does_not_have_is_refused(made: Callable[..., Path]) -> None:
    with pytest.raises(BuildError, match=r"no \.dll can be linked"):
        made("wasm32-unknown-unknown-wasm", ".dll")


@needs_zig
def test_a_runtime_may_have_any_name(objects: Objects, tmp_path: Path) -> None:
    """It is kept under one that says what it was made of, and is one of a build."""
    triple, found = parse("wasm32-unknown-unknown-wasm"), set()
    model = objects(triple.text)
    (tmp_path / "start.c").write_text("void _initialize(void) {}\n")
    for name in ("1.o", "z.o"):
        words = ["cc", "-target", "wasm32-freestanding", "-c", "start.c", "-o", name]
        zig.run(words, tmp_path)
        place = tmp_path / f"for-{name}"
        place.mkdir()
        library = products.make(model, ".wasm", triple, place, [tmp_path / name])
        found.add(library.read_bytes())
    assert len(found) == 1


def test_a_packed_library_says_nothing_of_who_made_it(
    made: Callable[..., Path],
) -> None:
    first = made("arm64-apple-ios14.0", ".tar")
    again = made("arm64-apple-ios14.0", ".tar", "again")
    assert first.read_bytes() == again.read_bytes()
    with tarfile.open(first) as archive:
        members = archive.getmembers()
    assert [each.name for each in members] == ["devc.o", "lib0.o"]
    assert {(each.mtime, each.uid, each.uname, each.mode) for each in members} == {
        (0, 0, "", 0o644)
    }


@needs_zig
@pytest.mark.parametrize(
    ("triple", "suffix"),
    [
        ("aarch64-linux-gnu", ".so"),
        ("aarch64-linux-android24", ".so"),
        ("arm64-apple-macosx11.0.0", ".dylib"),
        ("x86_64-pc-windows-msvc", ".dll"),
        ("arm64-apple-ios14.0", ".a"),
    ],
)
def test_products_are_the_same_in_every_folder(
    made: Callable[..., Path], triple: str, suffix: str
) -> None:
    first, again = made(triple, suffix), made(triple, suffix, "elsewhere")
    assert first.read_bytes() == again.read_bytes()


@needs_zig
@pytest.mark.parametrize(
    ("system", "machine", "triple", "suffix", "magic"),
    [
        ("darwin", "arm64", "arm64-apple-darwin24.1.0", ".so", b"\xcf\xfa\xed\xfe"),
        ("win32", "AMD64", "x86_64-pc-windows-msvc", ".dll", b"MZ"),
    ],
)
def test_a_mac_and_windows_link_what_they_compile_for_themselves(
    objects: Objects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    triple: str,
    suffix: str,
    magic: bytes,
) -> None:
    """Of a triple as LLVM says it there, and without a linker of the system's."""
    given = objects(triple)
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    (tmp_path / "made").mkdir()
    product = products.make(given, suffix, parse(AUTO), tmp_path / "made")
    assert product.read_bytes().startswith(magic)


@needs_zig
@pytest.mark.parametrize("triple", ["aarch64-linux-gnu", "aarch64-linux-android24"])
def test_a_library_for_arm_is_one(made: Callable[..., Path], triple: str) -> None:
    lief = pytest.importorskip("lief")
    library = lief.parse(str(made(triple, ".so")))
    assert library.header.machine_type == lief.ELF.ARCH.AARCH64
    assert "__tvm_ffi_tir_exp" in {each.name for each in library.exported_functions}
    unknown = {each.name for each in library.imported_symbols} - {""}
    assert unknown <= {"expf", "TVMFFIErrorSetRaisedFromCStrParts"}
    phone = triple.endswith("24")
    assert library.libraries == (["libc.so", "libm.so"] if phone else [])
    loads = [
        each for each in library.segments if each.type == lief.ELF.Segment.TYPE.LOAD
    ]
    # Phones may have pages of 16 KiB, Arm servers of 64.
    assert {each.alignment for each in loads} == {0x4000 if phone else 0x10000}


@needs_zig
@pytest.mark.parametrize(
    ("triple", "cpu"),
    [("arm64-apple-macosx11.0.0", "ARM64"), ("x86_64-apple-macosx12.3", "X86_64")],
)
def test_a_library_for_macs_says_for_which_and_is_signed(
    made: Callable[..., Path], triple: str, cpu: str
) -> None:
    lief = pytest.importorskip("lief")
    library = lief.parse(str(made(triple, ".dylib")))
    assert library.header.cpu_type == getattr(lief.MachO.Header.CPU_TYPE, cpu)
    assert library.header.file_type == lief.MachO.Header.FILE_TYPE.DYLIB
    assert library.build_version.platform == lief.MachO.BuildVersion.PLATFORMS.MACOS
    assert library.build_version.minos[:2] == ([11, 0] if cpu == "ARM64" else [12, 3])
    # Macs with Arm load nothing that is not signed.
    assert library.has_code_signature == (cpu == "ARM64")
    assert "___tvm_ffi_tir_exp" in {each.name for each in library.exported_symbols}
    assert {each.name for each in library.libraries} >= {"/usr/lib/libSystem.B.dylib"}


@needs_zig
@pytest.mark.parametrize(
    ("triple", "machine"),
    [("x86_64-pc-windows-msvc", "AMD64"), ("aarch64-pc-windows-msvc", "ARM64")],
)
def test_a_library_for_windows_names_where_it_finds_functions(
    made: Callable[..., Path], triple: str, machine: str
) -> None:
    lief = pytest.importorskip("lief")
    library = lief.parse(str(made(triple, ".dll")))
    assert library.header.machine == getattr(lief.PE.Header.MACHINE_TYPES, machine)
    imports = {dll.name: {e.name for e in dll.entries} for dll in library.imports}
    assert imports == {
        MATH: {"expf"},
        "tvm_ffi.dll": {"TVMFFIErrorSetRaisedFromCStrParts"},
    }
    exports = {entry.name for entry in library.get_export().entries}
    assert {"__tvm_ffi_tir_exp", "__tvm_ffi__library_bin"} <= exports


@needs_zig
@pytest.mark.parametrize(
    ("triple", "platform"),
    [("arm64-apple-ios14.0", "IOS"), ("arm64-apple-ios18.0-macabi", "MAC_CATALYST")],
)
def test_an_archive_for_apple_has_the_index_that_its_linker_reads(
    made: Callable[..., Path], triple: str, platform: str
) -> None:
    lief = pytest.importorskip("lief")
    product = made(triple, ".a")
    members = dict(unpacked(product.read_bytes()))
    assert b"___tvm_ffi_tir_exp\0" in members["__.SYMDEF"]
    for name in ("devc.o", "lib0.o"):
        member: Any = lief.parse(list(members[name]))
        expected = getattr(lief.MachO.BuildVersion.PLATFORMS, platform)
        assert member.build_version.platform == expected


def unpacked(archive: bytes) -> list[tuple[str, bytes]]:
    """Return the members of an archive in BSD's or GNU's form."""
    assert archive.startswith(b"!<arch>\n")
    members, at = [], 8
    while at < len(archive):
        name = archive[at : at + 16].decode().rstrip()
        assert archive[at + 16 : at + 28].strip() == b"0", "dated"
        size = int(archive[at + 48 : at + 58])
        body, at = archive[at + 60 : at + 60 + size], at + 60 + size + size % 2
        if name.startswith("#1/"):
            length = int(name[3:])
            name, body = body[:length].rstrip(b"\0").decode(), body[length:]
        members.append((name.rstrip("/"), body))
    return members


def test_two_models_live_side_by_side_in_one_program(
    objects: Objects, tmp_path: Path
) -> None:
    """As an app links them; one prefix is short enough to trip TVM's own check."""
    prefixes = ("a_", "another_model_q4f16_1_")
    both = [path for prefix in prefixes for path in objects(AUTO, prefix)]
    program = products.make(both, ".so", parse(AUTO), tmp_path)
    ctypes.CDLL(str(program), ctypes.RTLD_GLOBAL)
    for prefix in prefixes:
        library = tvm.get_global_func("ffi.SystemLib")(prefix)
        machine = relax.VirtualMachine(library, tvm.cpu())
        assert library.get_function("tir_exp", query_imports=True) is not None
        x = tvm.runtime.tensor(np.array([1.0], "float32"))
        np.testing.assert_allclose(machine["main"](x).numpy(), [np.e], rtol=1e-6)
    defined = program.read_bytes()
    assert all(f"__tvm_ffi_{prefix}tir_exp".encode() in defined for prefix in prefixes)
