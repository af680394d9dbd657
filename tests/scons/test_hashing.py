"""Hashing a large file is shown, and ends when the build does."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from SCons.Errors import BuildError

from mlcx.progress import VARIABLE, Stage, read
from mlcx.reasons.hashes import LARGE, Hashes
from mlcx.scons import hashing
from mlcx.scons.hashing import Hashing
from mlcx.scons.progress import Console
from mlcx.scons.screen import Screen, Totals

from .project import PATIENCE, Project


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(bytes(4 * LARGE))
    return path


def _name(path: Path) -> str:
    return path.name


def test_an_interrupt_ends_it(file: Path) -> None:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(len(asked))
        return len(asked) == 3

    hashes = Hashes(Hashing(_name, Console(silent=True), None, stopped).watch)
    with pytest.raises(BuildError, match=r"Build interrupted\."):
        hashes.of(file)
    assert len(asked) == 3
    assert len(hashes.of(file)) == 64


def test_a_line_says_so_when_it_takes_long(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Hashing(_name, Console(silent=False), None, lambda: False).watch
    Hashes(watch).of(file)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(hashing, "_LATE", 0)
    Hashes(watch).of(file)
    assert capsys.readouterr().out == "mlcx: hashing weights, 4.19 MB\n"


def test_a_terminal_shows_how_far_it_is(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    shown: list[str] = []
    screen = Screen(lambda: Totals(0, 0, 1))

    class Showing:
        def __enter__(self) -> dict[str, str]:
            return {VARIABLE: str(told)}

        def __exit__(self, *_: object) -> None:
            shown.append("ended")

    def showing(lane: int, verb: str, about: str, *_: object) -> Showing:
        shown.append(f"{verb} {about} {lane < 0}")
        return Showing()

    monkeypatch.setattr(screen, "showing", showing)
    monkeypatch.setattr(hashing, "_SOON", 0)
    Hashes(Hashing(_name, Console(silent=True), screen, lambda: False).watch).of(file)
    assert shown == ["hash weights True", "ended"]
    assert read(told) == Stage("hashing", LARGE, 4 * LARGE)


@pytest.mark.slow
def test_a_build_that_hashes_a_checkpoint_anew_can_be_interrupted(
    built: Project,
) -> None:
    os.truncate(built.root / "models/one/model.safetensors", 1 << 38)
    build = built.start("-j2")
    assert build.stdout is not None
    line = "mlcx: hashing models/one/model.safetensors, 275 GB\n"
    assert line in iter(build.stdout.readline, "")
    build.send_signal(signal.SIGINT)
    _, err = build.communicate(timeout=PATIENCE)
    assert build.returncode == 2
    assert "Build interrupted." in err
