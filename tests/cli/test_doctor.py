"""``mlcx doctor``, as a person or a program calls it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlcx.__main__ import main
from mlcx.toolchain import tools

SPECS = Path(__file__).parents[2] / "specs"
SPEC = SPECS / "mlc-package-config.json"
ENTRY = {"model_id": "tales", "model": str(SPECS / "sample-model")}
PACKED = {
    **ENTRY,
    "quantization": "q4f16_1",
    "conv_template": "chatml",
    "bundle_weight": True,
}


def test_a_device_whose_tools_are_there_is_ready(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "cpu"]) == 0
    device, tvm, linker = capsys.readouterr().out.splitlines()
    assert device == "cpu"
    assert "apache-tvm 0.27.0.post1" in tvm
    assert linker.split()[:2] == ["ok", "linker"]


def test_a_missing_tool_is_named_with_its_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.zig, "program", lambda: None)
    assert main(["doctor", "cpu", "metal"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == ["missing", "zig", "pip", "install", "'mlcx[cross]'"]


def test_a_program_reads_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.zig, "program", lambda: None)
    assert main(["doctor", "iphone:generic", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["devices"]
    assert (row["device"], row["ready"]) == ("iphone", False)
    zig = row["needs"][-1]
    assert (zig["name"], zig["version"]) == ("zig", None)
    assert zig["remedy"] == "pip install 'mlcx[cross]'"


def test_the_devices_of_a_spec_are_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(SPEC)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "cpu"


@pytest.mark.parametrize(
    ("spec", "lacks"),
    [
        # A package archives its libraries as the one that an app links.
        ({"device": "iphone", "model_list": [PACKED]}, True),
        ({"tasks": [ENTRY], "default_compile_options": [{"device": "ios"}]}, False),
    ],
    ids=["package", "delivery"],
)
def test_a_spec_needs_no_more_than_its_build(
    spec: dict[str, Any],
    lacks: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools.zig, "program", lambda: None)
    file = tmp_path / "spec.json"
    delivered = {"default_quantization": ["q4f16_1"], "binary_libs_dir": "libs"}
    file.write_text(json.dumps(spec | (delivered if "tasks" in spec else {})))
    assert main(["doctor", str(file)]) == int(lacks)
    out = capsys.readouterr().out
    assert out.startswith("iphone\n")
    assert ("missing  zig" in out) == lacks


@pytest.mark.parametrize(
    ("subject", "needed"),
    [
        ("ios", "zig"),
        ("apple/m1-gpu", "zig"),
        ('{"kind": "cuda", "arch": "sm_90a"}', "nvrtc"),
    ],
)
def test_a_device_is_named_as_in_specs_and_by_its_target(
    subject: str, needed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", subject, "--json"]) in (0, 1)
    (row,) = json.loads(capsys.readouterr().out)["devices"]
    assert needed in {each["name"] for each in row["needs"]}


@pytest.mark.parametrize("subject", ['{"kind": "none"}', '{"kind"', "no/such"])
def test_what_is_no_target_is_refused(
    subject: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", subject]) == 2
    assert f"device {subject!r}: " in capsys.readouterr().err


def test_an_unknown_device_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "iphnoe"]) == 2
    assert "did you mean 'iphone'?" in capsys.readouterr().err


def test_tvm_is_not_loaded() -> None:
    code = (
        "import sys; from mlcx.__main__ import main; main(['doctor']); "
        "sys.exit('tvm' in sys.modules or 'tvm_ffi' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"webgpu" in done.stdout
