"""``mlcx validate`` and ``mlcx plan``, as a person or a program calls them."""

import json
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.spec.devices import DEVICES

ENTRY = {
    "model": "model",
    "model_id": "tiny",
    "quantization": "q4f16_1",
    "conv_template": "chatml",
    "bundle_weight": True,
    "overrides": {"max_batch_size": 2},
}
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
    "num_attention_heads": 2,
    "rms_norm_eps": 1e-5,
    "num_hidden_layers": 1,
    "vocab_size": 32,
}
GOOD = {"device": "cpu", "model_list": [ENTRY]}
NAMES = ", ".join(f'"{name}"' for name in DEVICES)
REFUSED = f'device: expected one of {NAMES}, found "toaster"'
BAD = {"device": "toaster", "model_list": [{**ENTRY, "model_id": ".."}]}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model" / "model.safetensors").write_text("")
    (tmp_path / "good.json").write_text(json.dumps(GOOD, indent=1))
    (tmp_path / "bad.json").write_text(json.dumps(BAD, indent=1))


def test_validate_names_what_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "good.json"]) == 0
    assert capsys.readouterr() == ("good.json: valid (3 jobs)\n", "")


def test_validate_reports_every_problem_of_every_file_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["validate", "bad.json", "good.json", "missing.json"]) == 2
    out, err = capsys.readouterr()
    assert out == "good.json: valid (3 jobs)\n"
    first, second, third = err.splitlines()
    assert first == f"bad.json:2:12: {REFUSED}"
    assert second.startswith("bad.json:6:16: model_id: expected a portable file name")
    assert third == "missing.json: there is no such file"


def test_validate_tells_a_program_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--json", "good.json", "bad.json"]) == 2
    out, err = capsys.readouterr()
    good, bad = json.loads(out)["files"]
    assert err == ""
    assert good == {"valid": True, "file": "good.json", "jobs": 3, "problems": []}
    assert (bad["valid"], bad["jobs"]) == (False, 0)
    assert bad["problems"][0] == {
        "file": "bad.json",
        "line": 2,
        "column": 12,
        "message": REFUSED,
        "pointer": "/device",
    }


def test_plan_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "good.json"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "step            model  quantization  device  next build  since  time",
        "gen_config      tiny   q4f16_1               to build    new       -",
        "convert_weight  tiny   q4f16_1               to build    new       -",
        "normalize       tiny   q4f16_1               to build    new       -",
        "compile         tiny   q4f16_1       cpu     to build    new       -",
        "bundle          tiny                         to build    new       -",
        "app_config                                   to build    new       -",
        "mlcx: 6 to build",
    ]


def test_plan_is_json_for_a_program(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["plan", "good.json", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["spec"] == str(tmp_path / "good.json")
    assert plan["weights"] == [
        {
            "model_id": "tiny",
            "model": str(tmp_path / "model"),
            "quantization": "q4f16_1",
            "conv_template": "chatml",
            "directory": "tiny/model",
            "recipe": None,
            "fetched": None,
            "exact_float32": False,
        }
    ]
    assert plan["libraries"][0]["overrides"] == {"max_batch_size": 2}
    assert plan["app"][0]["model_lib"] == "tiny"
    assert plan["steps"][3]["target"] == "dist/lib/tiny.so"


def test_plan_of_a_wrong_spec_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "bad.json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"bad.json:2:12: {REFUSED}\n")
