"""What the web runtime is made of: what is found, what is laid out, what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.errors import UsageError
from mlcx.toolchain.distributions import folder_of
from mlcx.web.pieces import HEADERS, NAMES, given_bitcode, source_tree

BUILT = "web/dist/wasm"


def bitcode(folder: Path, *names: str) -> list[Path]:
    """Make files by the names of bitcode below ``folder``."""
    (folder / BUILT).mkdir(parents=True, exist_ok=True)
    files = [folder / BUILT / f"{name}.bc" for name in names]
    for file in files:
        file.write_bytes(b"BC")
    return files


def test_without_variables_there_is_no_bitcode(tmp_path: Path) -> None:
    assert given_bitcode({}) == ()
    assert given_bitcode({"TVM_HOME": str(tmp_path), "MLC_LLM_SOURCE_DIR": ""}) == ()


def test_bitcode_of_tvm_and_of_mlc_is_found(tmp_path: Path) -> None:
    tvm = bitcode(tmp_path / "tvm", *NAMES)
    mlc = bitcode(tmp_path / "mlc", "mlc_wasm_runtime")
    places = {"TVM_HOME": tmp_path / "tvm", "MLC_LLM_SOURCE_DIR": tmp_path / "mlc"}
    found = given_bitcode({name: str(path) for name, path in places.items()})
    assert found == (*tvm, *mlc)
    # MLC's own is no runtime by itself.
    assert given_bitcode({"MLC_LLM_SOURCE_DIR": str(tmp_path / "mlc")}) == ()


def test_the_tvm_in_mlcs_sources_goes_before_another_one(tmp_path: Path) -> None:
    inner = bitcode(tmp_path / "mlc/3rdparty/tvm", *NAMES)
    bitcode(tmp_path / "tvm", *NAMES)
    places = {"TVM_HOME": tmp_path / "tvm", "MLC_LLM_SOURCE_DIR": tmp_path / "mlc"}
    environ = {name: str(path) for name, path in places.items()}
    assert given_bitcode(environ) == tuple(inner)


def test_half_of_the_bitcode_is_refused(tmp_path: Path) -> None:
    bitcode(tmp_path, "wasm_runtime", "webgpu_runtime")
    with pytest.raises(
        UsageError, match=r"lacks tvmjs_support\.bc: build it, or unset"
    ):
        given_bitcode({"TVM_HOME": str(tmp_path)})


def test_every_header_of_the_runtime_is_there_once_it_is_laid_out(
    tmp_path: Path,
) -> None:
    tvm = folder_of("tvm")
    assert tvm is not None
    tree = tmp_path / "tree"
    for source in source_tree(tree):
        assert lacking(tree, tree / source) == set()
    ours = {path.relative_to(HEADERS) for path in HEADERS.rglob("*.h")}
    assert len(ours) == 9
    # What TVM comes to ship itself must not be covered by ours.
    assert not any((tvm / path).exists() for path in ours)


def lacking(tree: Path, file: Path, seen: set[Path] | None = None) -> set[str]:
    """Return what ``file`` includes between quotes, or of TVM, that is nowhere."""
    seen = set() if seen is None else seen
    seen.add(file)
    missing: set[str] = set()
    places = (file.parent, tree, tree / "include", tree / "3rdparty/tvm-ffi/include")
    text = file.read_text()
    for name in re.findall(r'^#include (?:"|<(?=tvm/|dlpack/))([^">]+)', text, re.M):
        paths = ((place / name).resolve() for place in places)
        path = next((path for path in paths if path.is_file()), None)
        if name.startswith("../../backend/"):
            continue  # Of devices that the web has not: left out by the preprocessor.
        if path is None:
            missing.add(f"{file.name}: {name}")
        elif path not in seen:
            missing |= lacking(tree, path, seen)
    return missing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "runtime.a"], "expected a name in .o, found runtime.a"),
        (["none.bc", "-o", "runtime.o"], "none.bc: no such file"),
    ],
)
def test_what_makes_no_runtime_is_refused(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlcx.toolchain.needs.refusal", lambda *_: "")
    assert main(["web_runtime", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_without_emscripten_the_runtime_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlcx.toolchain.emscripten.program", lambda: None)
    output = tmp_path / "runtime.o"
    assert main(["web_runtime", "-o", str(output)]) == 1
    said = capsys.readouterr().err
    assert "emscripten, which compiles the runtime of the web" in said
    assert "apt-get install emscripten" in said
    assert not output.exists()
