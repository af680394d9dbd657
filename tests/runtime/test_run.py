"""The verbs generate and logits, from arguments to output and exit status."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcx.__main__ import main
from mlcx.runtime.device import LoadedModel
from mlcx.runtime.locate import Files

from . import numpy_llama

CHARACTERS = " " + "".join(map(chr, range(0x21, 0x7F)))
BEGIN = len(CHARACTERS)
"""The id that the tokenizer puts before any text."""
END = 2
"""The id that ends a text where no config names one."""


def generate(files: Files, *options: str) -> int:
    place = [str(files.directory), "--model-lib", str(files.library)]
    return main(["generate", *place, *options])


def greedy(config: dict[str, Any], weights: Any, tokens: list[int], count: int) -> str:
    """The text of the greedy continuation, of the tokens that there are."""
    tokens = list(tokens)
    for _ in range(count):
        row = numpy_llama.logits(config, weights, tokens)[-1]
        tokens.append(int(row[: len(CHARACTERS) + 2].argmax()))
    return "".join(CHARACTERS[n] for n in tokens[-count:] if n < len(CHARACTERS))


def test_a_plain_prompt_is_continued_as_the_reference_continues_it(
    tiny: Files,
    tiny_config: dict[str, Any],
    tiny_weights: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--prompt", "Hello, you", "--raw", "--greedy", "--max-tokens", "20")
    assert generate(tiny, *options) == 0
    prompt = [BEGIN, *(CHARACTERS.index(character) for character in "Hello, you")]
    expected = greedy(tiny_config, tiny_weights, prompt, 20)
    until_its_end = expected.partition(CHARACTERS[END])[0]
    assert capsys.readouterr().out == until_its_end + "\n"


def test_a_stop_string_ends_the_answer_to_a_chat_and_no_plain_text(
    tiny: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def text(*options: str) -> str:
        command = ("--prompt", "Hi", "--greedy", "--max-tokens", "9", *options)
        assert generate(Files(folder, tiny.library), *command) == 0
        return capsys.readouterr().out.removesuffix("\n")

    folder = tmp_path / "model"
    shutil.copytree(tiny.directory, folder)
    plain, chat = text("--raw"), text()
    file = folder / "mlc-chat-config.json"
    config = json.loads(file.read_text())
    config["conv_template"]["stop_str"] = [plain[3], chat[3]]
    file.write_text(json.dumps(config))
    assert text("--raw") == plain
    assert len(text()) <= 3


def test_a_prompt_goes_through_the_template_and_may_come_from_stdin(
    tiny: Files,
    tiny_config: dict[str, Any],
    tiny_weights: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hi\n"))
    options = ("--prompt", "-", "--temperature", "0", "--max-tokens", "9", "--json")
    assert generate(tiny, *options) == 0
    result = json.loads(capsys.readouterr().out)
    prompt = [BEGIN, *(CHARACTERS.index(character) for character in "Hi")]
    assert result["text"] == greedy(tiny_config, tiny_weights, prompt, 9)
    assert result["prompt_tokens"] == 3
    assert len(result["tokens"]) == 9
    assert result["finish"] == "length"
    assert result["decode_tokens_per_second"] > 0


def test_a_seed_makes_the_text_reproducible(
    tiny: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    def text(seed: str) -> str:
        assert (
            generate(tiny, "--prompt", "a", "--seed", seed, "--max-tokens", "30") == 0
        )
        return capsys.readouterr().out

    assert text("1") == text("1")
    assert text("1") != text("2")


def test_figures_go_to_stderr(tiny: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(tiny, "--prompt", "a", "--stats", "--max-tokens", "5") == 0
    assert "prompt: 2 tokens" in capsys.readouterr().err


def test_an_interrupt_ends_the_line_and_the_command(
    tiny: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = LoadedModel.forward, []

    def forward(*args: Any) -> Any:
        calls.append(args)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(LoadedModel, "forward", forward)
    assert generate(tiny, "--prompt", "a", "--raw", "--greedy") == 130
    captured = capsys.readouterr()
    assert captured.out.endswith("\n")
    assert captured.err == "mlcx: interrupted\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", "-1"], "temperature: expected 0 or more, found -1"),
        (["--top-p", "0"], "top_p: expected above 0 and at most 1, found 0"),
        (["--max-tokens", "0"], "max_tokens: expected 1 or more"),
        (["--device", "tpu"], "device tpu: this runtime runs on cpu"),
        (["--context", "200"], "a context of 200 tokens: expected 1 to 128"),
        (["--context", "2"], "the prompt has 3 tokens, and the context is of 2"),
        (["--model-lib", "no.so"], "no.so: no such library"),
        (["--prompt", "a\udcff", "--raw"], r"found 'a\udcff', which ends in a byte"),
        (["--prompt", "-"], "--prompt -: expected text in utf-8, found other bytes"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_status_2(
    options: list[str],
    message: str,
    tiny: Files,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stdin)
    assert generate(tiny, "--prompt", "ab", *options) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_damaged_shard_is_named(
    tiny: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in tiny.directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    shard = next(tmp_path.glob("*.bin"))
    shard.write_bytes(shard.read_bytes()[:-4])
    assert generate(Files(tmp_path, tiny.library), "--prompt", "a") == 2
    assert f"{shard.name}: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tokens", "1,99"], "--tokens: expected ids from 0 to 98, found 99"),
        (["--tokens", "1,2", "--prefill", "3"], "--prefill: expected 1 to 2 tokens"),
        (["--tokens", "1", "--greedy", "-1"], "--greedy: expected 0 or more"),
        (["--tokens", "1", "--greedy", "128"], "a context of 129 tokens"),
    ],
)
def test_logits_that_cannot_be_computed_leave_no_file(
    options: list[str],
    message: str,
    tiny: Files,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["logits", str(tiny.directory), "--model-lib", str(tiny.library)]
    assert main([*command, *options, "-o", str(tmp_path / "out.npz")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_logits_of_every_token_are_written(
    tiny: Files, tiny_config: dict[str, Any], tiny_weights: Any, tmp_path: Path
) -> None:
    command = ["logits", str(tiny.directory), "--model-lib", str(tiny.library)]
    file = tmp_path / "out.npz"
    assert (
        main([*command, "--tokens", "5,6,7,8", "--prefill", "2", "-o", str(file)]) == 0
    )
    found = np.load(file)
    expected = numpy_llama.logits(tiny_config, tiny_weights, [5, 6, 7, 8])
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=2e-4)
    assert found["greedy"].tolist() == []
