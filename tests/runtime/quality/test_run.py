"""Real libraries of a tiny model, their figures next to those of numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.__main__ import main
from mlcx.quant.scheme import SCHEMES
from mlcx.runtime.locate import Files
from mlcx.runtime.quality.reference import logits_file, read

from ..conftest import Build
from ..numpy_llama import logits
from ..test_schemes import meant

USED = 97
"""Ids that the tokenizer has; the model has two more, which nobody compares."""

TEXT = "The quick brown fox jumps over the lazy dog, and does it again at 7 o'clock."


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def reference(tiny: Files, text: Path, tmp_path: Path) -> Path:
    file = tmp_path / "reference.json"
    command = ["reference-logits", *model(tiny), "--text", str(text), "--tokens", "48"]
    assert main([*command, "-o", str(file)]) == 0
    return file


def model(files: Files) -> list[str]:
    return [str(files.directory), "--model-lib", str(files.library)]


def probabilities(
    config: dict[str, Any], weights: dict[str, Any], tokens: tuple[int, ...]
) -> NDArray[np.float64]:
    rows = np.exp(logits(config, weights, tokens)[:, :USED])
    return rows / rows.sum(-1, keepdims=True)


def test_a_reference_has_the_logits_of_numpy(
    reference: Path, tiny_config: dict[str, Any], tiny_weights: dict[str, Any]
) -> None:
    found = read(reference)
    (window,) = found.windows
    assert (len(window), found.origin.text) == (48, "text.txt")
    expected = logits(tiny_config, tiny_weights, window)[:, :USED]
    np.testing.assert_allclose(found.logits, expected, rtol=0, atol=1e-4)


def test_the_figures_are_those_that_numpy_finds_for_the_same_weights(
    build: Build,
    checkpoint: Path,
    reference: Path,
    tiny_config: dict[str, Any],
    tiny_weights: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = build(checkpoint, "q4f16_1")
    capsys.readouterr()
    command = ["verify-quality", *model(files), "--reference", str(reference)]
    assert main([*command, "--json", "-o", str(tmp_path / "r.json")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "r.json").read_text())
    figures = report["figures"]
    (window,) = read(reference).windows
    scheme = SCHEMES["q4f16_1"]
    stored = {name: meant(name, each, scheme) for name, each in tiny_weights.items()}
    p = probabilities(tiny_config, tiny_weights, window)
    q = probabilities(tiny_config, stored, window)
    divergence = (p * np.log(p / q)).sum(-1)
    assert figures["mean_kl"] == pytest.approx(divergence.mean(), rel=0.02)
    assert figures["max_kl"] == pytest.approx(divergence.max(), rel=0.05)
    places = np.arange(len(window) - 1), list(window[1:])
    for name, each in (("perplexity", q), ("reference_perplexity", p)):
        expected = np.exp(-np.log(each[places]).mean())
        assert figures[name] == pytest.approx(expected, rel=1e-3)


def test_a_library_is_its_own_equal(
    tiny: Files, reference: Path, tmp_path: Path
) -> None:
    command = ["measure-quality", *model(tiny), "--reference", str(reference)]
    file = tmp_path / "q.json"
    assert main([*command, "-o", str(file)]) == 0
    figures = json.loads(file.read_text())["figures"]
    assert (figures["max_kl"], figures["top1"]) == (0.0, 1.0)
    judge = ["judge-quality", str(file), "--max-kl", "0", "--min-top1", "1"]
    assert main([*judge, "-o", str(tmp_path / "v.json")]) == 0
    assert json.loads((tmp_path / "v.json").read_text())["passed"] is True
    content = json.loads(file.read_text())
    content["figures"]["top1"] = 0.5
    file.write_text(json.dumps(content))
    assert main([*judge, "-o", str(tmp_path / "v.json")]) == 1
    assert not (tmp_path / "v.json").exists()


def test_without_a_text_the_tokens_are_always_the_same(
    tiny: Files, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file in files:
        assert main(["reference-logits", *model(tiny), "-o", str(file)]) == 0
    first, second = map(read, files)
    assert first.windows == second.windows
    assert first.origin.text == "mlcx's own passage"
    assert logits_file(files[0]).read_bytes() == logits_file(files[1]).read_bytes()


def test_a_library_beyond_a_threshold_fails_with_the_numbers(
    build: Build,
    checkpoint: Path,
    reference: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = build(checkpoint, "q4f16_1")
    command = ["verify-quality", *model(files), "--reference", str(reference)]
    assert main([*command, "--max-kl", "1e-9"]) == 1
    out, err = capsys.readouterr()
    assert "nats per token, at most 1e-09\n" in out
    assert err.startswith("mlcx: model.so is beyond its threshold: mean KL divergence ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "phone"], "device phone: this runtime runs on cpu"),
        (["--text", "x"], "--text: a reference has its tokens: give the checkpoint's"),
        (["--max-kl", "-1"], "--max-kl: expected 0 or more, found -1.0"),
        (["--max-kl", "nan"], "--max-kl: expected 0 or more, found nan"),
        (["--min-top1", "90"], "--min-top1: expected 0 to 1, found 90.0"),
        (["--reference", "tests"], "expected a checkpoint with config.json, or a"),
        (["--reference", "x.json"], "there is no checkpoint's folder nor reference"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tiny: Files,
    reference: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    command = ["verify-quality", *model(tiny), "--reference", str(reference)]
    assert main([*command, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_reference_of_another_model_is_refused(
    tiny: Files, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(reference.read_text())
    content["origin"]["model_type"] = "gpt_neox"
    reference.write_text(json.dumps(content))
    assert main(["verify-quality", *model(tiny), "--reference", str(reference)]) == 2
    assert "the reference is of a gpt_neox with " in capsys.readouterr().err
