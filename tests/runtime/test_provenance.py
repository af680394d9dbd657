from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.runtime import provenance
from mlcx.runtime.provenance import check


def noted(folder: Path, device: str, tvm: str, **more: object) -> Path:
    library = folder / "model.so"
    note = {"device": device, "tvm": tvm, "opt": "O2", **more}
    (folder / "model.so.json").write_text(json.dumps(note))
    return library


def test_a_library_of_the_installed_tvm_passes(tmp_path: Path) -> None:
    check(noted(tmp_path, "cpu", version("apache-tvm")), "cpu")


def test_a_library_without_a_note_passes(tmp_path: Path) -> None:
    check(tmp_path / "model.so", "cpu")


def test_a_library_for_another_device_is_refused(tmp_path: Path) -> None:
    library = noted(tmp_path, "cuda", version("apache-tvm"))
    with pytest.raises(InputError, match="for device cuda, and here is cpu"):
        check(library, "cpu")


def test_a_library_of_another_tvm_is_refused(tmp_path: Path) -> None:
    library = noted(tmp_path, "cpu", "0.19.1")
    with pytest.raises(InputError, match=r"with TVM 0\.19, and here is"):
        check(library, "cpu")


def test_a_library_for_a_cpu_that_can_do_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "cpuinfo"
    machine.write_text("processor\t: 0\nflags\t\t: fpu avx avx2\n")
    monkeypatch.setattr(provenance, "_CPUINFO", machine)
    here = version("apache-tvm")
    check(noted(tmp_path, "cpu", here, cpu_features=["avx", "avx2"]), "cpu")
    library = noted(tmp_path, "cpu", here, cpu_features=["avx2", "avx512f"])
    with pytest.raises(InputError, match="with avx512f, which this one lacks"):
        check(library, "cpu")
