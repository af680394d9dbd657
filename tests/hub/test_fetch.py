"""Models come from the hub whole and verified, whatever goes wrong on the way."""

from __future__ import annotations

import hashlib
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hub import StandIn

from mlcx.__main__ import main
from mlcx.cli.download import Progress
from mlcx.hub.keep import keep
from mlcx.hub.remote import HuggingFace
from mlcx.spec.digest import digest_file
from mlcx.spec.hub import HubSettings
from mlcx.spec.lock import LockedModel, read

from .conftest import CONFIG, SHARDS, checkpoint, dump, mlc

MODEL = "user/checkpoint"
WANTED = {
    "config.json",
    "tokenizer.json",
    "model.safetensors.index.json",
    *SHARDS,
    "fetched-weights.json",
    ".verified",
}
OURS = {"fetched-weights.json", ".verified"}


def fetched(capsys: pytest.CaptureFixture[str], *args: str) -> Path:
    assert main(["fetch", *args]) == 0, capsys.readouterr().err
    return Path(capsys.readouterr().out.strip())


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    status = main(["fetch", *args])
    err = capsys.readouterr().err
    *said, last = err.splitlines()
    assert all(line.startswith("mlcx: downloading ") for line in said), err
    return status, last


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_checkpoint_is_what_a_build_needs_and_no_more(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fetched(capsys, "HF://user/checkpoint")
    assert folder.is_relative_to(home)
    assert names(folder) == WANTED
    for name in WANTED - OURS:
        assert (folder / name).read_bytes() == checkpoint()[name]
    asked = {line.rpartition("/")[2] for line in hub.downloads()}
    assert not asked & {"pytorch_model.bin", "modeling_llama.py", "README.md"}


def test_the_second_time_nothing_is_downloaded(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fetched(capsys, MODEL)
    hub.log.clear()
    assert fetched(capsys, MODEL) == folder
    assert not hub.log


@pytest.mark.parametrize("output", [".", "..", "deeper/.."])
def test_the_folder_that_is_worked_in_will_do(
    hub: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    here = tmp_path / "model" / "deeper"
    here.mkdir(parents=True)
    (here / "deeper").mkdir()
    monkeypatch.chdir(here)
    folder = fetched(capsys, MODEL, "-o", output)
    assert names(folder) - {"deeper"} == WANTED
    assert {".model.lock", ".deeper.lock"} & names(folder.resolve().parent)


def test_texts_alone_are_without_weights(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fetched(capsys, MODEL, "--part", "texts")
    assert not names(folder) & set(SHARDS)
    assert not [line for line in hub.log if "/cdn/" in line]


def test_a_model_directory_is_where_mlc_looks_for_it(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched(capsys, "user/mlc")
    place = home / "model_weights/hf/user/mlc"
    for name in mlc().keys() - {"README.md"}:
        assert (place / name).read_bytes() == mlc()[name]
    hub.add("user/mlc", {**mlc(), "tokenizer.json": b"{}"})
    main(["fetch", "user/mlc"])
    assert (place / "tokenizer.json").read_bytes() != b"{}", "it stays pinned"
    monkey = {**os.environ, "MLC_DOWNLOAD_CACHE_POLICY": "REDO"}
    command = [sys.executable, "-m", "mlcx", "fetch", "user/mlc"]
    subprocess.run(command, env=monkey, check=True, capture_output=True)
    assert (place / "tokenizer.json").read_bytes() == b"{}"


@pytest.mark.parametrize("order", ["texts weights", "weights texts"])
def test_a_build_that_fetches_in_two_steps_puts_it_there_after_the_second(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str], order: str
) -> None:
    place = home / "model_weights/hf/user/mlc"
    first, second = order.split()
    now = mlc().keys() - {"README.md"} | {".mlcx-commit", ".verified"}
    fetched(capsys, "user/mlc", "--part", "texts")  # pins it, as on another machine
    shutil.rmtree(home / "model_weights/commits")
    fetched(capsys, "user/mlc", "--part", first)
    assert not place.exists()
    fetched(capsys, "user/mlc", "--part", second)
    assert names(place) == now


def test_two_commits_at_once_leave_one_of_them_there(
    hub: StandIn,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is put there, in place of a third one, while the other one is."""
    contents = {}
    for tokenizer in (b"{}", b"[]", mlc()["tokenizer.json"]):
        commit = hub.add("user/mlc", {**mlc(), "tokenizer.json": tokenizer})
        fetched(capsys, f"user/mlc@{commit}")
        contents[commit] = tokenizer
    settings = HubSettings.of(os.environ)
    monkeypatch.setattr("mlcx.hub.keep._link", slow_copy)

    def again(model: LockedModel) -> None:
        keep(model, "all", settings, HuggingFace(hub.url), Progress())

    with ThreadPoolExecutor() as pool:
        list(pool.map(again, read(settings.lock).values()))
    place = home / "model_weights/hf/user/mlc"
    commit = (place / ".mlcx-commit").read_text().strip()
    assert (place / "tokenizer.json").read_bytes() == contents[commit]
    assert names(place.parent) <= {"mlc", ".mlc.lock"}


def slow_copy(source: Path, target: Path) -> None:
    time.sleep(0.05)
    shutil.copyfile(source, target)


def test_an_index_of_before_2025_gets_the_name_that_mlc_reads(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = mlc()
    now = set(files) - {"README.md"}
    index = files["ndarray-cache.json"] = files.pop("tensor-cache.json")
    hub.add("user/old", files)
    folder = fetched(capsys, "user/old")
    assert names(folder) == now | OURS
    assert (folder / "tensor-cache.json").read_bytes() == index
    assert names(home / "model_weights/hf/user/old") == now | {
        ".mlcx-commit",
        ".verified",
    }
    for path in folder.iterdir():
        path.unlink()
    fetched(capsys, "user/old")
    lock = json.loads((home / "model_weights/mlcx.lock.json").read_text())
    locked = lock["models"]["user/old"]["files"]["tensor-cache.json"]
    assert locked["source"] == "ndarray-cache.json"


def test_what_somebody_else_put_there_stays(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = home / "model_weights/hf/user/mlc"
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    fetched(capsys, "user/mlc")
    assert names(place) == {"mine.txt"}


def test_files_that_are_here_already_are_taken(
    hub: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "shared/hf/user/checkpoint"
    place.mkdir(parents=True)
    right, wrong = SHARDS
    (place / right).write_bytes(checkpoint()[right])
    (place / wrong).write_bytes(checkpoint()[wrong][::-1])
    monkeypatch.setenv("MLC_LLM_READONLY_WEIGHT_CACHE", str(tmp_path / "shared"))
    folder = fetched(capsys, MODEL)
    assert (folder / wrong).read_bytes() == checkpoint()[wrong]
    asked = [line.rpartition("/")[2] for line in hub.log if "/cdn/" in line]
    assert asked == [wrong]


def test_what_other_programs_have_of_the_hub_is_taken(
    hub: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = hub.add("user/checkpoint", checkpoint())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    model = tmp_path / "hf/models--user--checkpoint"
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    for number, name in enumerate(SHARDS):
        blob = model / "blobs" / str(number)
        blob.write_bytes(checkpoint()[name])
        (snapshot / name).symlink_to(f"../../blobs/{number}")
    folder = fetched(capsys, MODEL)
    assert not [line for line in hub.log if "/cdn/" in line]
    for number, name in enumerate(SHARDS):
        assert not (folder / name).is_symlink()
        assert (folder / name).samefile(model / "blobs" / str(number))


@pytest.mark.usefixtures("quick")
def test_a_cut_download_goes_on_where_it_was(
    hub: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
    fetched(capsys, MODEL, "--part", "texts")
    hub.faults.cut = 3
    folder = fetched(capsys, MODEL)
    assert (folder / SHARDS[0]).read_bytes() == checkpoint()[SHARDS[0]]
    assert [line for line in hub.log if "bytes=" in line]


@pytest.mark.usefixtures("quick")
def test_a_hub_that_fails_and_then_works_is_asked_again(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.errors = 3
    assert names(fetched(capsys, MODEL)) == WANTED


@pytest.mark.usefixtures("quick")
def test_a_hub_that_keeps_failing_gets_one_message(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.errors = 1000
    status, err = refused(capsys, MODEL)
    assert status == 1
    assert "answers 500 for HF://user/checkpoint: try again later" in err


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://xn--a.b..c"])
def test_a_hub_that_is_gone_gets_one_message(
    hub: StandIn,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    status, err = refused(capsys, MODEL)
    assert status == 1
    assert f"{endpoint} cannot be reached for HF://user/checkpoint" in err


def test_wrong_bytes_leave_nothing(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = SHARDS[1]
    hub.faults.swapped[wrong] = checkpoint()[wrong][::-1]
    status, err = refused(capsys, MODEL)
    assert status == 1
    assert f"{wrong} of HF://user/checkpoint is not what it must be" in err
    kept = {path.name for path in home.rglob("*") if path.is_file()}
    assert wrong not in kept
    assert hashlib.sha256(checkpoint()[wrong]).hexdigest() not in kept
    assert "fetched-weights.json" not in kept


def test_a_wrong_text_is_found_by_its_id_in_git(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.swapped["config.json"] = checkpoint()["config.json"][::-1]
    status, err = refused(capsys, MODEL)
    assert status == 1
    assert "config.json of HF://user/checkpoint is not what it must be" in err
    assert not list(home.rglob("config.json"))


def test_shards_must_be_what_their_own_index_says(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = mlc()["params_shard_1.bin"][:-1] + b"x"
    hub.add("user/mlc", {**mlc(), "params_shard_1.bin": other})
    status, err = refused(capsys, "user/mlc")
    assert status == 1
    assert "params_shard_1.bin of HF://user/mlc is not what its tensor-cache" in err
    assert not list(home.rglob("tensor-cache.json"))


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, "GatedRepo"), "is gated and not open to you (without HF_TOKEN): accept"),
        ((403, "GatedRepo"), "is gated and not open to you (without HF_TOKEN): accept"),
        ((401, "RepoNotFound"), "is not there, or not for you (without HF_TOKEN; 401)"),
        ((403, ""), "is not there, or not for you (without HF_TOKEN; 403)"),
        ((404, "RepoNotFound"), "is not there, or not for you (without HF_TOKEN; 404)"),
        ((404, "RevisionNotFound"), "user/checkpoint has no revision 'main'"),
    ],
)
def test_a_refusal_comes_with_its_remedy(
    hub: StandIn,
    capsys: pytest.CaptureFixture[str],
    refusal: tuple[int, str],
    message: str,
) -> None:
    hub.faults.refusal = refusal
    status, err = refused(capsys, MODEL)
    assert status == 2
    assert message in err


@pytest.mark.parametrize(
    "name",
    [
        "../x.safetensors",
        "/x.safetensors",
        "C:x.safetensors",
        "a/b.safetensors",
        "x\n.safetensors",
        "x.bin",
        7,
    ],
)
def test_an_index_cannot_lead_out_of_the_folder(
    hub: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: object
) -> None:
    index = json.dumps({"weight_map": {"a": name}}).encode()
    files = {**checkpoint(), "model.safetensors.index.json": index, str(name): b"x"}
    hub.add("user/checkpoint", files)
    status, err = refused(capsys, MODEL)
    assert status == 2
    assert "model.safetensors.index.json is not safe to follow" in err
    assert not list(tmp_path.rglob("x.*"))


def test_a_shard_that_the_repository_lacks_is_named(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    files = checkpoint()
    del files[SHARDS[1]]
    hub.add("user/checkpoint", files)
    status, err = refused(capsys, MODEL)
    assert status == 2
    assert f"lists {SHARDS[1]}, which is not in the repository" in err


def test_offline_takes_what_is_here(
    hub: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(capsys, MODEL, "--part", "texts")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fetched(capsys, MODEL, "--part", "texts")
    status, err = refused(capsys, MODEL)
    assert status == 1
    assert "cannot be downloaded, as HF_HUB_OFFLINE is set" in err
    assert SHARDS[0] in err
    status, err = refused(capsys, "user/mlc")
    assert status == 2
    assert "HF://user/mlc is not pinned" in err


@pytest.mark.parametrize(
    ("policy", "cached", "missing"), [("READONLY", 0, 2), ("OFF", 2, 2)]
)
def test_policies_that_never_download(
    hub: StandIn,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    cached: int,
    missing: int,
) -> None:
    fetched(capsys, MODEL)
    hub.log.clear()
    monkeypatch.setenv("MLC_DOWNLOAD_CACHE_POLICY", policy)
    assert main(["fetch", MODEL]) == cached
    assert main(["fetch", "user/mlc"]) == missing
    assert not hub.log


def test_redo_downloads_what_is_here(
    hub: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(capsys, MODEL)
    hub.log.clear()
    monkeypatch.setenv("MLC_DOWNLOAD_CACHE_POLICY", "REDO")
    fetched(capsys, MODEL)
    asked = {line.rpartition("/")[2] for line in hub.downloads()}
    assert asked >= WANTED - OURS


@pytest.mark.parametrize("name", ["config.json", SHARDS[0]])
def test_a_file_that_was_written_to_is_downloaded_again(
    hub: StandIn, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = fetched(capsys, MODEL)
    harm(folder / name)
    fetched(capsys, MODEL)
    assert (folder / name).read_bytes() == checkpoint()[name]


def harm(path: Path) -> None:
    """Write other bytes, but as many, into the file, and all that are linked to it."""
    path.write_bytes(path.read_bytes()[::-1])


@pytest.mark.parametrize("where", ["commits", "hf"])
def test_weights_that_are_written_to_where_mlc_looks_are_made_good(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    folder = fetched(capsys, "user/mlc")
    place = home / "model_weights/hf/user/mlc"
    name = "params_shard_0.bin"
    if where == "hf":  # no link to the one of the commit
        (place / name).unlink()
        shutil.copyfile(folder / name, place / name)
    harm((place if where == "hf" else folder) / name)
    fetched(capsys, "user/mlc")
    assert (place / name).read_bytes() == mlc()[name]
    assert (folder / name).read_bytes() == mlc()[name]


def test_what_was_verified_is_not_read_again_while_nobody_writes_to_it(
    hub: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_files: list[str] = []

    def digest(path: Path) -> str:
        read_files.append(path.name)
        return digest_file(path)

    folder = fetched(capsys, MODEL)
    monkeypatch.setattr("mlcx.spec.verified.digest_file", digest)
    fetched(capsys, MODEL)
    assert read_files == []
    os.utime(folder / SHARDS[1], (1, 1))
    hub.log.clear()
    fetched(capsys, MODEL)
    fetched(capsys, MODEL)
    assert read_files == [SHARDS[1]]
    assert hub.log == []
    (folder / ".verified").write_text("[")
    fetched(capsys, MODEL)
    assert set(read_files) == WANTED - OURS


@pytest.mark.parametrize("way", ["downloaded", "elsewhere", "here"])
def test_what_is_written_to_between_reading_and_noting_is_not_taken_for_verified(
    hub: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    name = SHARDS[0]
    place = tmp_path / "shared/hf/user/checkpoint"
    if way == "elsewhere":
        place.mkdir(parents=True)
        (place / name).write_bytes(checkpoint()[name])
        monkeypatch.setenv("MLC_LLM_READONLY_WEIGHT_CACHE", str(tmp_path / "shared"))
    if way == "here":
        (fetched(capsys, MODEL) / ".verified").unlink()
    right = hashlib.sha256(checkpoint()[name]).hexdigest()

    def digest(path: Path, *kind: object) -> str:
        found = known(path, *kind)
        if found == right:
            time.sleep(0.02)  # for the clock of the file system
            harm(path)
        return found

    where = "spec.verified.digest_file" if way == "here" else "hub.fetch.digest"
    known = pkgutil.resolve_name(f"mlcx.{where}")
    monkeypatch.setattr(f"mlcx.{where}", digest)
    folder = fetched(capsys, MODEL)
    assert (folder / name).read_bytes() != checkpoint()[name]
    monkeypatch.setattr(f"mlcx.{where}", known)
    fetched(capsys, MODEL)
    assert (folder / name).read_bytes() == checkpoint()[name]


START = """
import signal, sys
from mlcx.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # as a terminal has it
sys.exit(main(sys.argv[1:]))
"""


def start(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START, "fetch", *args]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def test_two_at_once_download_once(hub: StandIn, home: Path) -> None:
    hub.faults.slow = 0.3
    both = [start(MODEL) for _ in range(2)]
    outs = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], outs
    assert outs[0][0] == outs[1][0]
    asked = [line.rpartition("/")[2] for line in hub.log if "/cdn/" in line]
    assert sorted(asked) == sorted(SHARDS)


def await_bytes(home: Path, count: int) -> None:
    """Wait until bytes of so many files have come."""
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size > 0 for path in home.rglob(".partial/*")) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_after_a_kill_it_goes_on_where_it_was(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = os.urandom(24_000_000)  # it is written in blocks of 10 MiB
    single = {"config.json": dump(CONFIG), "model.safetensors": weights}
    hub.add("user/big", single)
    fetched(capsys, "user/big", "--part", "texts")
    hub.faults.slow = 200
    killed = start("user/big")
    await_bytes(home, 1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (partial,) = home.rglob(".partial/*")
    there = partial.stat().st_size
    hub.faults.slow = 0
    hub.log.clear()
    folder = fetched(capsys, "user/big")
    assert (folder / "model.safetensors").read_bytes() == weights
    (asked,) = (line for line in hub.log if "/cdn/" in line)
    assert asked.endswith(f"bytes={there}-")
    assert not list(home.rglob(".partial"))


def test_ctrl_c_waits_for_no_download(
    hub: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {name: os.urandom(24_000_000) for name in SHARDS}
    hub.add("user/checkpoint", {**checkpoint(), **weights})
    fetched(capsys, MODEL, "--part", "texts")
    hub.faults.slow = 200  # from the first half of each file to the second
    stopped = start(MODEL)
    await_bytes(home, 2)
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=hub.faults.slow / 2)
    assert (stopped.returncode, err.splitlines()[-1]) == (130, "mlcx: interrupted")
    assert len(list(home.rglob(".partial/*"))) == 2, "to go on with"


def test_a_file_that_fails_waits_for_no_other(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched(capsys, MODEL, "--part", "texts")
    hub.faults.slow = 200
    hub.faults.slow_file = SHARDS[0]
    hub.faults.swapped = {SHARDS[1]: checkpoint()[SHARDS[1]][::-1]}
    began = time.monotonic()
    status, err = refused(capsys, MODEL)
    assert status == 1
    assert "is not what it must be" in err
    assert time.monotonic() - began < hub.faults.slow
