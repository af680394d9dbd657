"""The verbs of quality as docs/quality.md shows them, and one whole run by hand."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mlcx.scons.run
from mlcx import cli
from mlcx.__main__ import main
from mlcx.cli import quality

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quality.md").read_text()
COMMANDS = re.findall(r"^mlcx ([a-z-]+) +(.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("verb", "words"), COMMANDS)
def test_the_commands_of_the_page_are_understood(verb: str, words: str) -> None:
    assert cli.VERBS[verb].module == "quality"
    parser = argparse.ArgumentParser(exit_on_error=False)
    getattr(quality, f"{verb.replace('-', '_')}_arguments")(parser)
    parser.parse_args(shlex.split(words))


def test_the_page_shows_every_verb() -> None:
    shown = {verb for verb, _ in COMMANDS}
    assert shown == {name for name, verb in cli.VERBS.items() if verb[0] == "quality"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model directory with a library, and a checkpoint that can read no text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "checkpoint").mkdir()
    for name in ("model/mlc-chat-config.json", "checkpoint/config.json"):
        (tmp_path / name).write_text("{}")
    for name in ("model.so", "empty.txt", "checkpoint/model.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "text.txt").write_text("once")
    (tmp_path / "latin.txt").write_text("für", encoding="latin-1")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tokens", "1"), "--tokens: expected 2 or more, found 1"),
        (("--text", "no.txt"), "--text: there is no file no.txt"),
        (("--text", "empty.txt"), "--text: empty.txt is empty"),
        (("--text", "latin.txt"), "--text: latin.txt is no UTF-8 text"),
        (("--text", "text.txt"), "checkpoint has no tokenizer.json to read a text"),
        (("--reference", "gone"), "--reference: there is no checkpoint's folder"),
        (("--reference", "model"), "model: expected a checkpoint with config.json, or"),
        (("--max-kl", "-1"), "--max-kl: expected 0 or more, found -1"),
        (("--min-top1", "nan"), "--min-top1: expected 0 to 1, found nan"),
    ],
)
def test_what_cannot_be_verified_is_said_before_any_work(
    folder: Path,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["verify-quality", "model", "--model-lib", "model.so"]
    command += ["--reference", "checkpoint", *options]
    assert main(command) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "build").exists()


def test_a_checkpoint_without_weights_is_no_reference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "checkpoint" / "model.safetensors").unlink()
    command = ["verify-quality", "model", "--model-lib", "model.so"]
    assert main([*command, "--reference", "checkpoint"]) == 2
    assert "--reference: there are no weights to run" in capsys.readouterr().err


def test_a_checkpoint_of_another_architecture_is_no_reference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kind in (("model/mlc-chat-config.json", "llama"), ("checkpoint", "phi3")):
        path = folder / name
        path = path / "config.json" if path.is_dir() else path
        path.write_text(json.dumps({"model_type": kind}))
    command = ["verify-quality", "model", "--model-lib", "model.so"]
    assert main([*command, "--reference", "checkpoint"]) == 2
    said = "--reference: checkpoint is a phi3, model a llama: they are different models"
    assert capsys.readouterr().err == f"mlcx: {said}\n"
    assert not (folder / "build").exists()


@pytest.mark.parametrize(
    ("ended", "status", "said"),
    [
        (130, 130, "interrupted"),
        (1, 2, "the reference of checkpoint could not be made"),
    ],
)
def test_only_a_threshold_ends_with_1(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ended: int,
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(mlcx.scons.run, "run_beside", lambda *_: ended)
    command = ["verify-quality", "model", "--model-lib", "model.so"]
    assert main([*command, "--reference", "checkpoint"]) == status
    assert capsys.readouterr().err == f"mlcx: {said}\n"


def test_a_reference_is_made_in_any_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    script = Path(mlcx.scons.__file__).with_name("SConstruct-reference")
    command = [sys.executable, "-m", "SCons", "-f", str(script), "-Q", "-n"]
    command += [f"CHECKPOINT={ROOT / 'specs' / 'sample-model'}", "TOKENS=8"]
    command += [f"{name}={tmp_path / 'there'}" for name in ("BUILD", "OUTPUT")]
    planned = subprocess.run(
        [*command, "REFERENCE=q0f32", "VERBOSE=1"],
        cwd=tmp_path / "here",
        check=True,
        capture_output=True,
        text=True,
    )
    assert f" -o {tmp_path}/there/reference/" in planned.stdout


@pytest.mark.slow
def test_a_checkpoint_is_made_into_a_reference_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Converts and compiles the sample twice: quantized, and as a reference."""
    monkeypatch.chdir(tmp_path)
    sample = str(ROOT / "specs" / "sample-model")
    scheme = ["--quantization", "q4f16_1"]
    template = ["--conv-template", "chatml"]
    assert main(["gen_config", sample, *scheme, *template, "-o", "model"]) == 0
    assert main(["convert_weight", sample, *scheme, "-o", "model"]) == 0
    assert main(["compile", "model", "-o", "model.so"]) == 0
    command = ["verify-quality", "model", "--model-lib", "model.so"]
    command += ["--reference", sample, "--text", f"{sample}/tales.py"]
    assert main([*command, "-o", "one.json"]) == 0
    assert "reference-logits build/reference/sample-model-" in capfd.readouterr().out
    assert main([*command, "--max-kl", "1e-4", "-o", "two.json"]) == 1
    out, err = capfd.readouterr()
    assert "0 built" not in out
    assert "reference-logits build" not in out
    assert "is beyond its threshold: mean KL divergence" in err
    assert not Path(".sconsign.dblite").exists()
    one, two = (json.loads(Path(f"{name}.json").read_text()) for name in ("one", "two"))
    assert one["figures"] == two["figures"]
    assert (one["passed"], two["passed"]) == (True, False)
    assert 0.001 < one["figures"]["mean_kl"] < 0.5
