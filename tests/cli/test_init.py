"""``mlcx init``: what it writes, and what it never touches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlcx.__main__ import main
from mlcx.spec.reading import load

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
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content"
    " + '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
UNKNOWN = "{% for m in messages %}#{{ m.content }}{% endfor %}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checkpoint(path: str, template: str | None = CHATML, **config: Any) -> str:
    folder = Path(path)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "model.safetensors").write_text("")
    tokenizer = json.dumps({"chat_template": template})
    (folder / "tokenizer_config.json").write_text(tokenizer)
    return path


def spec(folder: str = ".") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (Path(folder) / "mlc-package-config.json").read_text()
    )
    return content


def test_what_it_writes_is_a_spec_that_can_be_built(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", checkpoint("models/Tiny", eos_token_id=151645)]) == 0
    assert spec() == {
        "device": "cpu",
        "model_list": [
            {
                "model": "models/Tiny",
                "model_id": "Tiny-q4f16_1",
                "quantization": "q4f16_1",
                "conv_template": "qwen2",
                "bundle_weight": True,
            }
        ],
    }
    assert load("mlc-package-config.json").libraries[0].model_id == "Tiny-q4f16_1"
    out = capsys.readouterr().out
    assert "models/Tiny: a checkpoint, template qwen2, which lays out" in out
    assert "next: mlcx plan mlc-package-config.json, then scons -j4" in out


def test_what_scons_needs_stands_beside_the_spec_wherever_that_is() -> None:
    checkpoint("Tiny")
    assert main(["init", "Tiny", "-C", "new/app", "--device", "ios"]) == 0
    assert spec("new/app")["device"] == "iphone"
    assert spec("new/app")["model_list"][0]["model"] == "../../Tiny"
    for name in ("SConstruct", "site_scons/site_tools/mlc.py"):
        compile((Path("new/app") / name).read_text(), name, "exec")
    assert Path("new/app/.gitignore").read_text().startswith("/build/\n/dist/\n")


def test_a_file_that_exists_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    Path("SConstruct").write_text("mine")
    assert main(["init", checkpoint("Tiny")]) == 0
    assert Path("SConstruct").read_text() == "mine"
    assert "kept SConstruct" in capsys.readouterr().out
    before = Path("mlc-package-config.json").read_bytes()
    assert main(["init", "Tiny"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("mlc-package-config.json").read_bytes() == before


def test_a_model_directory_has_its_own_quantization_and_template() -> None:
    Path("Built").mkdir()
    config = {"model_type": "llama", "quantization": "q0f32", "model_config": CONFIG}
    Path("Built/mlc-chat-config.json").write_text(json.dumps(config))
    Path("Built/tensor-cache.json").write_text("{}")
    main(["init", "Built"])
    entry = {"model": "Built", "model_id": "Built", "bundle_weight": True}
    assert spec()["model_list"] == [entry]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "no chat template of its own"),
        (UNKNOWN, "none lays out turns as"),
        ("{% for %}", "mlcx: Tiny/tokenizer_config.json: the chat template is no "),
    ],
)
def test_a_template_that_cannot_be_told_must_be_named(
    capsys: pytest.CaptureFixture[str], template: str | None, reason: str
) -> None:
    checkpoint("Tiny", template)
    assert main(["init", "Tiny"]) == 2
    err = capsys.readouterr().err
    assert reason in err
    assert "--conv-template" in err
    assert err.count("tokenizer_config.json") <= 1
    assert [path.name for path in Path().iterdir()] == ["Tiny"]
    assert main(["init", "Tiny", "--conv-template", "llama-2"]) == 0
    assert spec()["model_list"][0]["conv_template"] == "llama-2"


def test_a_named_template_that_does_not_suit_is_said_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", checkpoint("Tiny"), "--conv-template", "llama-2"]) == 0
    assert "lays out turns otherwise than" in capsys.readouterr().out


def test_what_ends_an_answer_tells_alike_templates_apart_and_must_be_an_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint("Tiny", eos_token_id=2)
    generation = Path("Tiny/generation_config.json")
    generation.write_text('{"eos_token_id": [151645, 151643]}')
    assert main(["init", "Tiny"]) == 0
    assert spec()["model_list"][0]["conv_template"] == "qwen2"
    generation.write_text('{"eos_token_id": "</s>"}')
    assert main(["init", "Tiny", "-C", "other"]) == 2
    message = "generation_config.json: 'eos_token_id': expected a token id or a list of"
    assert message in capsys.readouterr().err
    assert not Path("other").exists()


def test_ids_hold_no_character_that_a_spec_refuses() -> None:
    main(["init", checkpoint("My models/Tíny (v2) llämä")])
    assert spec()["model_list"][0]["model_id"] == "Tiny-v2-llama-q4f16_1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: expected a folder with config.json"),
        (["Tiny", "--device", "cup"], "did you mean 'cpu'"),
        (["Tiny", "--conv-template", "chatlm"], "did you mean 'chatml'"),
        (["Tiny", "--quantization", "q4f16_9"], 'found "q4f16_9"'),
        (["Tiny", "Tiny"], "Tiny and Tiny would both be called Tiny-q4f16_1: name"),
        (["Bare"], "there are no weights to bundle: "),
        (["Odd"], "Odd/config.json: model_type: expected one of "),
        (["Awq"], "these weights are quantized already, by 'awq'; give the original"),
        (["mod\udcff", "--conv-template", "LM"], "the path is not UTF-8, so no spec"),
    ],
)
def test_what_cannot_be_built_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    checkpoint("Tiny")
    (Path(checkpoint("Bare")) / "model.safetensors").unlink()
    checkpoint("Odd", model_type="odd")
    checkpoint("Awq", quantization_config={"quant_method": "awq"})
    checkpoint("mod\udcff")
    before = sorted(Path().rglob("*"))
    assert main(["init", *words]) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before
