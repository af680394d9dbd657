from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from described import metadata, stamp, stored

from mlcx.errors import InputError, MlcxError
from mlcx.runtime import provenance
from mlcx.runtime.provenance import check, device_of, explain
from mlcx.toolchain.triple import here


def made(folder: Path, name: str = "model.so", **changes: Any) -> Path:
    library = folder / name
    library.write_bytes(stored(metadata(stamp(**changes))))
    return library


def target(kind: str, triple: str = f"{here().architecture}-linux-gnu") -> dict:
    return {"kind": kind, "host": {"kind": "llvm", "mtriple": triple, "mcpu": "x"}}


def test_a_library_of_the_installed_tvm_passes(tmp_path: Path) -> None:
    check(made(tmp_path, target=target("llvm")), "cpu")


def test_a_library_without_a_stamp_passes(tmp_path: Path) -> None:
    library = tmp_path / "model.so"
    library.write_bytes(stored(metadata()))
    check(library, "cpu")
    assert device_of(library) is None
    assert "built by MLC LLM: llama at q4f16_1" in explain(library, "cpu")


def test_what_is_no_library_is_left_to_the_loader(tmp_path: Path) -> None:
    library = tmp_path / "model.so"
    library.write_bytes(b"no library")
    check(library, "cpu")
    assert explain(library, "cpu") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="others' loaders look themselves")
def test_a_library_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Linux loads what is there, and ends the process where something is not."""
    found = importlib.util.find_spec("tvm_ffi.core")
    assert found is not None
    assert found.origin is not None
    whole, library = Path(found.origin).read_bytes(), tmp_path / "model.so"
    library.write_bytes(whole)
    check(library, "cpu")
    for size in (len(whole) // 2, 30):
        library.write_bytes(whole[:size])
        message = rf"model\.so: cut off: expected \d+ bytes or more, found {size}: "
        with pytest.raises(InputError, match=message):
            check(library, "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": target("cuda")}, "compiled for cuda, and here is cpu"),
        ({"tvm": "0.19.1"}, r"compiled with TVM 0\.19\.1, and here is 0\.27"),
        ({"tvm_ffi": "0.2.0"}, r"with TVM's ffi 0\.2\.0, and here is 0\.1\.14"),
        (
            {"target": target("llvm", "riscv64-linux-gnu")},
            "host 'riscv64-linux-gnu': expected a triple",
        ),
        (
            {"target": target("llvm", "arm64-apple-macosx11.0.0")},
            r"for the machine arm64-apple-macosx11\.0\.0, which is not like this one",
        ),
    ],
)
def test_what_cannot_run_here_is_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    library = made(tmp_path, **{"target": target("llvm"), **changes})
    with pytest.raises(MlcxError, match=message):
        check(library, "cpu")


def test_the_refusal_says_what_it_was_built_with_and_how_to_rebuild(
    tmp_path: Path,
) -> None:
    library = made(tmp_path, tvm="0.19.1", target=target("llvm"))
    with pytest.raises(InputError) as caught:
        check(library, "cpu")
    first, built, remedy = str(caught.value).splitlines()
    assert first.startswith(f"{library}: compiled with TVM 0.19.1")
    assert "built by mlcx 0.1.0 with TVM 0.19.1" in built
    expected = (
        "mlcx compile MODEL --quantization q4f16_1 --device cpu --opt O2 "
        "--overrides 'context_window_size=64;sliding_window_size=-1' -o model.so"
    )
    assert remedy.endswith(expected)


@pytest.mark.parametrize("suffix", [".tar", ".a", ".wasm"])
def test_a_library_that_no_process_loads_is_refused(
    tmp_path: Path, suffix: str
) -> None:
    library = made(tmp_path, f"model{suffix}", target=target("llvm"))
    with pytest.raises(InputError, match="which mlcx does not load"):
        check(library, "cpu")


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.so: cannot be read: No such file"):
        check(tmp_path / "x.so", "cpu")


def test_a_library_for_a_cpu_that_can_do_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "cpuinfo"
    machine.write_text("processor\t: 0\nflags\t\t: fpu avx avx2\n")
    monkeypatch.setattr(provenance, "_CPUINFO", machine)
    own = target("llvm")
    check(made(tmp_path, target=own, cpu_features=["avx", "avx2"]), "cpu")
    library = made(tmp_path, target=own, cpu_features=["avx2", "avx512f"])
    with pytest.raises(InputError, match="with avx512f, which this one lacks"):
        check(library, "cpu")


def test_a_library_says_its_device(tmp_path: Path) -> None:
    assert device_of(made(tmp_path)) == "cpu"
    assert device_of(made(tmp_path, target=target("metal"))) == "metal"
