"""``mlcx doctor``, as a person or a program calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.toolchain import tools

SPEC = Path(__file__).parents[2] / "specs" / "mlc-package-config.json"


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
