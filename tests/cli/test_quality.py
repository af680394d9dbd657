"""The verbs of quality as docs/quality.md shows them, and one whole run by hand."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest

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
    one, two = (json.loads(Path(f"{name}.json").read_text()) for name in ("one", "two"))
    assert one["figures"] == two["figures"]
    assert (one["passed"], two["passed"]) == (True, False)
    assert 0.001 < one["figures"]["mean_kl"] < 0.5
