"""Building twice to compare: what the two builds share, and what they are told."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.cli import package, reproducible
from mlcx.home import VARIABLE, home
from mlcx.spec.hub import HubSettings, Repository

MODEL = Repository("user", "name", "main")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "user"))
    monkeypatch.setattr(reproducible.time, "sleep", lambda _: None)
    return tmp_path


def test_what_a_build_keeps_for_the_next_ones_is_made_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """TVM's runtime in every library for the web, above all."""

    def build(folder: Path, options: list[str], environ: Mapping[str, str]) -> int:
        assert "--cache-disable" in options
        kept = home(environ) / "web_runtime" / "key.o"
        if not kept.exists():
            kept.parent.mkdir(parents=True)
            kept.write_text(str(folder))
        (folder / "dist").mkdir()
        (folder / "dist/lib.wasm").write_bytes(kept.read_bytes())
        return 0

    assert reproducible.check(build, 1) == 1
    assert "lib.wasm: differs from byte" in capsys.readouterr().err


def test_models_are_those_of_the_user(here: Path) -> None:
    found: list[tuple[int, bytes]] = []

    def build(folder: Path, options: list[str], environ: Mapping[str, str]) -> int:
        (folder / "dist").mkdir()
        model = HubSettings.of(environ).folder(MODEL, "0" * 40) / "config.json"
        if not model.exists():  # a build that fetches
            model.parent.mkdir(parents=True)
            model.write_bytes(b"{}")
        found.append((model.stat().st_ino, model.read_bytes()))
        return 0

    assert reproducible.check(build, 1) == 0
    kept = HubSettings.of(os.environ).folder(MODEL, "0" * 40) / "config.json"
    assert found == [(kept.stat().st_ino, b"{}")] * 2
    assert [path.name for path in here.iterdir()] == ["user"]


@pytest.mark.parametrize("interrupted", [1, 2])
def test_an_interrupt_leaves_nothing(here: Path, interrupted: int) -> None:
    builds: list[Path] = []

    def build(folder: Path, options: list[str], environ: Mapping[str, str]) -> int:
        builds.append(folder)
        return 128 + signal.SIGINT if len(builds) == interrupted else 0

    with pytest.raises(KeyboardInterrupt):
        reproducible.check(build, 1)
    assert [path.name for path in here.iterdir()] == ["user"]


def test_a_signal_to_end_is_no_difference(here: Path) -> None:
    ended = 128 + signal.SIGTERM
    assert reproducible.check(lambda *_: ended, 1) == ended
    assert [path.name for path in here.iterdir()] == ["user"]


def test_a_build_that_failed_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproducible.check(lambda *_: 2, 1) == 1
    (kept,) = here.glob("mlcx-reproducible-*")
    report = kept / "one/dist/report.json"
    said = f"mlcx: not compared: a build failed, see {report}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("words", "handed"),
    [
        (["deliver", "--spec", "spec.json", "--memory", "2G", "-k"], ["-k"]),
        (["package", "--package-config", "spec.json", "--memory", "2G"], []),
    ],
)
def test_both_builds_get_the_options(
    monkeypatch: pytest.MonkeyPatch, words: list[str], handed: list[str]
) -> None:
    told: list[list[str]] = []

    def build(spec: Path, options: list[str], environ: Mapping[str, str]) -> int:
        assert (spec, "-C") == (Path("spec.json").absolute(), options[0])
        told.append(options[2:])
        return 1

    for name in ("_pin", "_load", "_check_sources"):
        monkeypatch.setattr(package, name, lambda *_, **__: None)
    monkeypatch.setattr(package, "_build", build)
    assert main([*words, "--check-reproducible"]) == 1
    assert {"-j1", "MEMORY=2G", *handed} <= set(told[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "there"], "not allowed with argument -o/--output"),
        (["--memory", "much"], "expected a size such as 8G"),
    ],
)
def test_what_means_nothing_there_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    spec = {"device": "cpu", "model_list": []}
    Path("mlc-package-config.json").write_text(json.dumps(spec))
    try:
        status = main(["package", *words, "--check-reproducible"])
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert message in capsys.readouterr().err
