"""Conversions that are interrupted, and go on where they were."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.artifact import TENSOR_CACHE
from mlcx.cli.convert import _Progress
from mlcx.weights.journal import JOURNAL
from mlcx.weights.shards import lay_out

from .tiny_llama import CONFIG, Recorder, run, save, tensors, written

LARGE = CONFIG | {"vocab_size": 140000}
"""Its embedding has a shard to itself, all else is in another, which comes later."""

INTERRUPTED = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny_llama import Recorder, run

# A shell makes what it runs in the background deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

source, output, number, config = sys.argv[2:]

class Interrupter(Recorder):
    def advance(self, nbytes):
        super().advance(nbytes)
        if self.total - sum(self.done) < 1000:
            os.kill(os.getpid(), int(number))

run(Path(source), Path(output), "q0f16", json.loads(config), Interrupter(), key="key")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("source"), tensors(LARGE))


@pytest.fixture(scope="module")
def clean(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("clean")
    run(source, out, "q0f16", LARGE)
    return written(out)


def interrupt(source: Path, output: Path, number: int) -> int:
    """Interrupt a conversion within its second shard; return its exit status."""
    here = str(Path(__file__).parent)
    arguments = [here, source, output, str(int(number)), json.dumps(LARGE)]
    command = [sys.executable, "-c", INTERRUPTED, *arguments]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


@pytest.fixture(scope="module")
def stopped(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed conversion leaves."""
    out = tmp_path_factory.mktemp("stopped")
    assert interrupt(source, out, signal.SIGKILL) == -signal.SIGKILL
    return out


@pytest.fixture
def output(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "out"))


def resume(
    source: Path, output: Path, key: str | None = "key", scheme: str = "q0f16"
) -> int:
    """Convert again; return how many bytes were not."""
    recorder = Recorder()
    run(source, output, scheme, LARGE, recorder, key=key)
    assert recorder.earlier + sum(recorder.done) == recorder.total
    return recorder.earlier


def test_a_killed_conversion_goes_on_behind_its_last_shard(
    source: Path, output: Path, clean: dict[str, bytes]
) -> None:
    embedding = len(clean["params_shard_0.bin"])
    assert resume(source, output) == embedding
    assert written(output) == clean


def test_so_does_an_interrupted_one(
    source: Path, tmp_path: Path, clean: dict[str, bytes]
) -> None:
    assert interrupt(source, tmp_path / "out", signal.SIGINT) != 0
    assert resume(source, tmp_path / "out") == len(clean["params_shard_0.bin"])
    assert written(tmp_path / "out") == clean


@pytest.mark.parametrize("key", ["other", None])
def test_another_config_or_code_starts_anew(
    source: Path, output: Path, clean: dict[str, bytes], key: str | None
) -> None:
    assert resume(source, output, key) == 0
    assert written(output) == clean


def test_another_scheme_starts_anew(source: Path, output: Path) -> None:
    assert resume(source, output, scheme="q4f16_1") == 0


def test_a_changed_checkpoint_starts_anew(
    source: Path, output: Path, clean: dict[str, bytes]
) -> None:
    file = source / "model.safetensors"
    before = file.stat().st_mtime_ns
    os.utime(file, ns=(before, before + 1))
    try:
        assert resume(source, output) == 0
    finally:
        os.utime(file, ns=(before, before))
    assert written(output) == clean


@pytest.mark.parametrize("size", [None, 100])
def test_a_shard_that_is_not_as_it_was_is_written_again(
    source: Path, output: Path, clean: dict[str, bytes], size: int | None
) -> None:
    shard = output / ".partial" / "params_shard_0.bin"
    data = bytearray(shard.read_bytes()[:size])
    data[-1] ^= 1
    shard.write_bytes(data)
    assert resume(source, output) == 0
    assert written(output) == clean


@pytest.mark.parametrize(
    ("cut", "added"),
    [(9, ""), (0, "5\n"), (0, '[["a"], "b"]\n'), (0, "[" * 100_000)],
    ids=["cut", "no pair", "no name", "deep"],
)
def test_a_journal_that_makes_no_sense_starts_anew(
    source: Path, output: Path, clean: dict[str, bytes], cut: int, added: str
) -> None:
    journal = output / ".partial" / JOURNAL
    text = journal.read_text()
    journal.write_text(text[: len(text) - cut] + added)
    assert resume(source, output) == 0
    assert written(output) == clean


def test_the_command_goes_on_too_unless_the_config_changed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    left = 0

    def begin(_: _Progress, nbytes: int, done: int) -> None:
        nonlocal left
        seen.append(done)
        left = nbytes - done

    def advance(_: _Progress, nbytes: int) -> None:
        nonlocal left
        left -= nbytes
        if left < 1000:
            raise KeyboardInterrupt

    monkeypatch.setattr(_Progress, "begin", begin)
    monkeypatch.setattr(_Progress, "advance", advance)
    config = tmp_path / "config.json"
    fields = {**LARGE, "model_type": "llama", "max_position_embeddings": 128}
    command = ["convert_weight", str(config), "--quantization", "q0f16"]
    command += ["--source", str(source), "-o", str(tmp_path / "out")]
    for epsilon in (1e-5, 1e-5, 1e-6):
        config.write_text(json.dumps({**fields, "rms_norm_eps": epsilon}))
        assert main(command) == 130
    assert seen == [0, 140000 * 64 * 2, 0]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    small = functools.partial(lay_out, limit=50_000)
    monkeypatch.setattr("mlcx.weights.convert.lay_out", small)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("moved", range(5))
def test_one_that_is_killed_while_its_files_change_places_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    source, out = save(tmp_path / "source", tensors()), tmp_path / "out"
    run(source, out, "q0f32")
    old = set(written(out))
    steps, replace = iter(range(moved)), Path.replace

    def killed(path: Path, target: Path) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt  # of which as much stays as of a kill
        replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run(source, out, "q0f16", key="key")
    assert not (out / TENSOR_CACHE).exists()
    recorder = Recorder()
    run(source, out, "q0f16", recorder=recorder, key="key")
    assert recorder.earlier == recorder.total
    run(source, tmp_path / "clean", "q0f16")
    assert written(out) == written(tmp_path / "clean")
    assert len(old) > len(written(out)) > 4


def test_ctrl_c_waits_until_files_have_changed_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, replace = save(tmp_path / "source", tensors()), Path.replace

    def interrupted(path: Path, target: Path) -> None:
        signal.raise_signal(signal.SIGINT)
        replace(path, target)

    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", interrupted)
            with pytest.raises(KeyboardInterrupt):
                run(source, tmp_path / "out")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, earlier)
    run(source, tmp_path / "clean")
    assert written(tmp_path / "out") == written(tmp_path / "clean")
