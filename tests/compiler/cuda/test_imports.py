"""The kernels of a library: compiled, for each architecture, the same every time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tvm
from cuda_images import ELF, PTX, arch_of, code_in, images, kernels
from tvm import relax, runtime
from tvm.target import Target

from mlcx.compiler.cuda.imports import (
    check_compiler,
    check_hold_no_source,
    source_only,
)
from mlcx.compiler.export import export
from mlcx.errors import BuildError
from mlcx.library.modules import DeviceCode, find
from mlcx.toolchain import fatbinary, nvrtc
from mlcx.toolchain.nvrtc import Image

Build = Callable[[tvm.IRModule, Target], relax.VMExecutable]
CODE = b"\x7fELF of a test, in place of what NVRTC makes"

needs_nvrtc = pytest.mark.skipif(nvrtc.home() is None, reason=nvrtc.REMEDY)
needs_fatbinary = pytest.mark.skipif(
    nvrtc.home() is None or fatbinary.program() is None, reason=fatbinary.REMEDY
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The sources and architectures that a stand-in for NVRTC is asked for."""
    calls: list[tuple[str, str]] = []

    def compile_source(source: str, arch: str) -> Image:
        calls.append((source, arch))
        return Image(CODE, b"")

    monkeypatch.setattr(nvrtc, "compile_source", compile_source)
    return calls


def device_code(library: Path) -> DeviceCode:
    (executable,) = find(library.read_bytes())
    (code,) = executable.devices
    return code


@pytest.mark.parametrize("suffix", [".so", ".tar"])
def test_compiled_code_takes_the_place_of_the_source(
    build: Build,
    doubling: tvm.IRModule,
    cuda: Callable[[str], Target],
    asked: list[tuple[str, str]],
    tmp_path: Path,
    suffix: str,
) -> None:
    library = tmp_path / f"twice{suffix}"
    target = cuda("sm_90a")
    export(build(doubling, target), library, target)
    ((source, arch),) = asked
    assert (arch, source.count("__global__")) == ("sm_90a", 2)
    code = device_code(library)
    assert (code.kind, code.format, code.kernels) == ("cuda", "cubin", ("add_kernel",))
    data = library.read_bytes()
    assert data.count(CODE) == 1
    assert b"__global__" not in data


def test_the_model_and_the_table_of_kernels_stay(
    build: Build,
    doubling: tvm.IRModule,
    cuda: Callable[[str], Target],
    asked: list[tuple[str, str]],
    tmp_path: Path,
) -> None:
    target = cuda("sm_80")
    executable = build(doubling, target)
    compiled, as_it_was = tmp_path / "compiled.so", tmp_path / "source.so"
    export(executable, compiled, target)
    executable.export_library(str(as_it_was))
    (ours,), (theirs,) = (find(file.read_bytes()) for file in (compiled, as_it_was))
    assert ours.functions == theirs.functions
    assert ours.devices[0].kernels == theirs.devices[0].kernels
    shrunk = theirs.devices[0].bytes - ours.devices[0].bytes
    source = asked[0][0].encode()
    assert shrunk == len(source) - len(CODE) + len("cuda") - len("cubin")


def test_what_still_holds_source_is_refused(
    build: Build, doubling: tvm.IRModule, cuda: Callable[[str], Target], tmp_path: Path
) -> None:
    library = tmp_path / "source.so"
    build(doubling, cuda("sm_80")).export_library(str(library))
    with pytest.raises(BuildError, match=r"kernels as source in source\.so"):
        check_hold_no_source([library])


def test_without_a_compiler_nothing_is_written_and_the_remedy_is_named(
    build: Build,
    doubling: tvm.IRModule,
    cuda: Callable[[str], Target],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvrtc, "home", lambda: None)
    target = cuda("sm_80")
    remedy = r"pip install 'mlcx\[cuda\]'"
    with pytest.raises(BuildError, match=remedy):
        check_compiler(target)
    with pytest.raises(BuildError, match=remedy):
        export(build(doubling, target), tmp_path / "x.so", target)
    assert list(tmp_path.iterdir()) == []


def test_several_architectures_need_one_more_program(
    cuda: Callable[[str], Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvrtc, "home", Path)
    monkeypatch.setattr(fatbinary, "program", lambda: None)
    check_compiler(cuda("sm_80"))
    with pytest.raises(BuildError, match=r"pip install 'mlcx\[cuda-archs\]'"):
        check_compiler(cuda("sm_80,sm_90a"))


def test_other_devices_need_no_such_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "home", lambda: None)
    check_compiler(Target("opencl"))


@pytest.mark.parametrize("before", [None, "0"])
def test_the_environment_is_as_before(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    name = "TVM_COMPILE_FORCE_FALLBACK"
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    with source_only():
        assert os.environ[name] == "1"
    assert os.environ.get(name) == before


@needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
def test_every_kernel_is_compiled_for_its_architecture(
    build: Build,
    layer: tvm.IRModule,
    cuda: Callable[[str], Target],
    tmp_path: Path,
    arch: str,
) -> None:
    target = cuda(arch)
    executable = build(layer, target)
    library = tmp_path / "layer.so"
    export(executable, library, target)
    code = device_code(library)
    assert code.kernels == ("matmul_kernel", "rms_norm_kernel", "transpose_kernel")
    cubin = code_in(library.read_bytes())
    assert kernels(cubin) == set(code.kernels)
    assert arch_of(cubin) == int(arch[3:5])


@needs_nvrtc
@pytest.mark.slow
def test_an_architecture_with_a_letter_has_tensor_cores_too(
    build: Build, layer: tvm.IRModule, cuda: Callable[[str], Target]
) -> None:
    executable = build(layer, cuda("sm_90a"))
    source = cuda_module(executable.mod).inspect_source("")
    assert "nvcuda::wmma::mma_sync" in source
    # Without a schedule for them the source is several times as long.
    assert len(source) < 40_000


@needs_fatbinary
@pytest.mark.slow
def test_several_architectures_are_one_fatbin_the_same_every_time(
    build: Build, layer: tvm.IRModule, cuda: Callable[[str], Target], tmp_path: Path
) -> None:
    target = cuda("sm_90a,sm_80")
    libraries = [tmp_path / "one.so", tmp_path / "elsewhere" / "two.so"]
    libraries[1].parent.mkdir()
    for library in libraries:
        export(build(layer, target), library, target)
    first, second = (library.read_bytes() for library in libraries)
    assert first == second
    code = device_code(libraries[0])
    assert code.format == "fatbin"
    inside = images(code_in(first))
    assert [(kind, arch) for kind, arch, _ in inside] == [
        (ELF, 80),
        (ELF, 90),
        (PTX, 80),
    ]
    for kind, arch, content in inside:
        if kind == ELF:
            assert kernels(content) == set(code.kernels)
            assert arch_of(content) == arch


def cuda_module(root: runtime.Module) -> runtime.Module:
    if root.kind == "cuda":
        return root
    (below,) = root.imports
    return cuda_module(below)
