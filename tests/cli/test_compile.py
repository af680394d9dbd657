"""The verbs normalize and compile: what they refuse, before any work."""

import json
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.toolchain import tools

TINY = Path(__file__).parents[1] / "tiny" / "llama.json"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quantization", "q5"], "q5"),
        (["--quantization", "q0f16", "--device", "toaster"], "unknown device"),
        (["--quantization", "q0f16", "--opt", "O9"], '"O9" is not known'),
        (["--quantization", "q0f16", "--model-type", "lama"], "did you mean 'llama'"),
        (["--quantization", "q0f16", "--overrides", "x=1"], "KEY one of"),
        (["--quantization", "q0f16", "--overrides", "disaggregation=x"], "or false"),
        (
            ["--quantization", "q0f16", "--system-lib-prefix", "a_"],
            "no static library",
        ),
        (["--quantization", "q0f16", "--host", "pdp11-dec-unix"], "expected a triple"),
        (["--quantization", "q0f16", "--enable-subgroups"], "only webgpu has"),
        (["--quantization", "q0f16", "--device", "iphone"], "makes .tar or .a"),
        (["--quantization", "q0f16", "--device", "ios"], "iphone makes .tar or .a"),
        (["--quantization", "q0f16", "--archs", "sm_80"], "which cpu does not have"),
        (
            ["--quantization", "q0f16", "--device", "cuda", "--archs", "sm_80,sm_61"],
            "'sm_61': expected some of sm_75",
        ),
        ([], "give --quantization"),
    ],
)
def test_a_wrong_option_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    output = tmp_path / "model.so"
    assert main(["compile", str(TINY), *options, "-o", str(output)]) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_an_output_of_another_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "model.dll")
    arguments = ["compile", str(TINY), "--quantization", "q0f16", "-o", output]
    assert main(arguments) == 2
    assert "cpu makes .so or .tar or .a, found model.dll" in capsys.readouterr().err


def test_a_missing_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing")
    assert main(["normalize", missing, "-o", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.startswith(f"{missing}: expected a model")


def test_normalize_writes_what_compiling_reads(tmp_path: Path) -> None:
    output = tmp_path / "compile-config.json"
    arguments = ["normalize", str(TINY), "--quantization", "q4f16_1"]
    arguments += ["--overrides", "context_window_size=64", "-o", str(output)]
    assert main(arguments) == 0
    content = json.loads(output.read_text())
    assert content["quantization"] == "q4f16_1"
    assert content["model_config"]["context_window_size"] == 64
    assert "bos_token_id" not in content["model_config"]


def test_a_missing_tool_is_named_before_any_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools.zig, "program", lambda: None)
    output = str(tmp_path / "model.dylib")
    arguments = ["compile", str(tmp_path / "missing"), "--device", "metal"]
    assert main([*arguments, "-o", output]) == 1
    assert capsys.readouterr().err == (
        "mlcx: metal needs zig, which links and archives and is missing: "
        "pip install 'mlcx[cross]'\n"
    )


def test_a_device_keeps_to_its_own_system(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compile", str(TINY), "--device", "iphone", "--quantization", "q0f16"]
    arguments += ["--host", "x86_64-linux-gnu", "-o", str(tmp_path / "model.tar")]
    assert main(arguments) == 2
    assert "iphone runs on a host like arm64-apple-ios" in capsys.readouterr().err
