"""Verbs take models of the hub by their names, as they take folders."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import termios
from contextlib import suppress
from pathlib import Path

import one_layer
import pytest
from hub import StandIn, folder_files

from mlcx.__main__ import main
from mlcx.cli.model import folder_of, given

from .conftest import mlc

SCHEME = ("--quantization", "q4f16_1")
MODEL = "HF://user/layer"


@pytest.fixture
def here(hub: StandIn, tmp_path: Path) -> Path:
    """A checkpoint that is a folder here and ``user/layer`` on the hub."""
    folder = one_layer.write(tmp_path / "layer")
    (folder / "tokenizer_config.json").write_text("{}")
    hub.add("user/layer", folder_files(folder))
    return folder


@pytest.mark.parametrize("page", ["", "/tree/main"])
def test_a_model_is_named_by_its_page_too(
    hub: StandIn, home: Path, here: Path, page: str
) -> None:
    found = given(f"{hub.url}/user/layer{page}", "auto")
    assert found == given(MODEL, "auto")
    assert found.path.is_relative_to(home)
    assert found.path.joinpath("config.json").read_bytes() == (
        here.joinpath("config.json").read_bytes()
    )


@pytest.mark.parametrize(
    ("verb", "reads_weights"),
    [
        (("normalize", *SCHEME), False),
        (("gen_config", *SCHEME, "--conv-template", "chatml"), False),
        (("convert_weight", *SCHEME), True),
    ],
)
def test_what_a_verb_makes_of_it_is_what_it_makes_of_the_folder(
    hub: StandIn, here: Path, tmp_path: Path, verb: list[str], reads_weights: bool
) -> None:
    made = []
    for name, model in (("a", MODEL), ("b", str(here))):
        output = tmp_path / name / "compile-config.json"
        output.parent.mkdir()
        target = output if verb[0] == "normalize" else output.parent
        assert main([verb[0], model, *verb[1:], "-o", str(target)]) == 0
        made.append(folder_files(output.parent))
    assert made[0] == made[1]
    assert made[0]
    assert bool([each for each in hub.log if "safetensors" in each]) is reads_weights


@pytest.mark.parametrize(
    ("quantized", "said"),
    [(None, ""), ({"quant_method": "awq"}, "these weights are quantized already")],
)
def test_init_takes_it_once_a_spec_of_it_could_be_built(
    hub: StandIn,
    here: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    quantized: object,
    said: str,
) -> None:
    files = folder_files(here)
    config = {**json.loads(files["config.json"]), "quantization_config": quantized}
    hub.add("user/layer", {**files, "config.json": json.dumps(config).encode()})
    command = ["init", MODEL, "-C", "app", "--conv-template", "LM"]
    assert main(command) == (2 if said else 0)
    out, err = capsys.readouterr()
    assert said in err
    assert (tmp_path / "app").exists() == (not said)
    assert ("mlcx lock mlc-package-config.json, mlcx plan" in out) == (not said)


def test_a_model_directory_of_the_hub_is_bundled(hub: StandIn, tmp_path: Path) -> None:
    assert main(["bundle", "HF://user/mlc", "-o", str(tmp_path / "out")]) == 0
    files = mlc()
    del files["README.md"]
    assert folder_files(tmp_path / "out") == files


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bundle", MODEL, "-o", "x"), "expected an MLC model directory with mlc-chat"),
        (
            ("convert_weight", "HF://user/mlc", *SCHEME, "-o", "x"),
            "expected a checkpoint with config.json, found an MLC model directory",
        ),
        (
            ("generate", MODEL, "--prompt", "x"),
            f"no library for {MODEL}: name one with --model-lib; mlcx compile {MODEL}",
        ),
        (
            ("normalize", "HF://user", *SCHEME, "-o", "x"),
            "expected HF://user/repository",
        ),
        (
            ("normalize", "https://elsewhere.org/a/b", *SCHEME, "-o", "x"),
            "models come from https://huggingface.co or http://127.0.0.1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_weights_are_fetched(
    hub: StandIn,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    assert main([*words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not [each for each in hub.log if "/cdn/" in each]
    assert not Path("x").exists()


def test_weights_in_pytorchs_files_are_left_on_the_hub(
    hub: StandIn, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = folder_files(here)
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    hub.add("user/layer", files)
    assert main(["convert_weight", MODEL, *SCHEME, "-o", "x"]) == 2
    assert "and PyTorch's files, which can hold code" in capsys.readouterr().err
    assert not [each for each in hub.log if "/cdn/" in each]


def test_an_unknown_architecture_is_refused_before_weights_are_fetched(
    hub: StandIn, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = b'{"model_type": "lama"}'
    hub.add("user/layer", {**folder_files(here), "config.json": config})
    assert main(["convert_weight", MODEL, *SCHEME, "-o", "x"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert not [each for each in hub.log if "/cdn/" in each]


def test_offline_a_model_that_was_fetched_is_there(
    hub: StandIn,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["normalize", MODEL, *SCHEME, "-o", "x.json"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(words) == 2
    assert "as HF_HUB_OFFLINE is set" in capsys.readouterr().err
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert main(words) == 0
    hub.log.clear()
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "MLC_DOWNLOAD_CACHE_POLICY": "READONLY",
    }.items():
        monkeypatch.setenv(name, value)
        assert main(words) == 0
    monkeypatch.setenv("MLC_DOWNLOAD_CACHE_POLICY", "OFF")
    assert main(words) == 2
    assert "MLC_DOWNLOAD_CACHE_POLICY is OFF" in capsys.readouterr().err
    assert not hub.log


def test_a_private_model_is_for_who_bears_its_token(
    hub: StandIn,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.faults.token = "hf_secret"
    words = ["convert_weight", MODEL, *SCHEME, "-o", "x"]
    assert main(words) == 2
    assert "not for you (without HF_TOKEN; 401)" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert main(words) == 0
    said = capsys.readouterr()
    assert "secret" not in said.out + said.err


@pytest.mark.parametrize(
    ("ci", "terminal", "bar"),
    [("", True, True), ("true", True, False), ("", False, False)],
)
def test_a_download_is_a_bar_on_a_terminal_and_lines_elsewhere(
    hub: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ci: str,
    terminal: bool,
    bar: bool,
) -> None:
    main_end, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("TERM", "xterm")
    plain = tmp_path / "err"
    with os.fdopen(other_end, "w") as screen, plain.open("w") as file:
        monkeypatch.setattr("sys.stderr", screen if terminal else file)
        assert main(["fetch", "user/checkpoint"]) == 0
    said = everything(main_end) if terminal else plain.read_bytes()
    text = said.decode().replace("\r\n", "\n")
    if bar:
        assert "\rHF://user/checkpoint:   0%" in text
        assert "2.56M/2.56M" in text
    else:
        assert text == "mlcx: downloading 2.56 MB: HF://user/checkpoint\n"


def everything(terminal: int) -> bytes:
    """Return what was written to the other end, which is closed; close this one."""
    said = b""
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):
        while some := file.read(1 << 12):
            said += some
    return said


def test_a_path_is_left_to_itself() -> None:
    assert folder_of("HF:/user/x") == Path("HF:/user/x")
