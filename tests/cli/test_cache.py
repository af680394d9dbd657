"""``mlcx cache``, as a person or a program calls it."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.cli.cache import cache_arguments
from mlcx.store.entry import Entry
from mlcx.store.folder import FolderStore

DAY = 86400


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    """Return a cache of three entries: 1, 20 and 40 days old, of 1, 2 and 3 KiB."""
    store = FolderStore(tmp_path / "cache")
    for number, days in enumerate((1, 20, 40), start=1):
        file = tmp_path / f"file{number}"
        file.write_bytes(bytes([number]) * 1024 * number)
        entry = Entry.of(f"{number}" * 64, file, f"compile model{number}")
        store.put(entry, file)
        used = time.time() - days * DAY
        os.utime(store.root / "entries" / entry.key[:2] / entry.key, (used, used))
    monkeypatch.setenv("MLCX_CACHE_DIR", str(store.root))
    return store


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[str]:
    assert main(["cache", *words]) == status
    return capsys.readouterr().out.splitlines()


def test_list_prints_what_was_used_last_first(
    store: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(capsys, "list")
    assert [line.split()[-1] for line in lines] == ["model1", "model2", "model3"]
    assert lines[1].split()[0] == "2" * 12
    assert "2.05 kB" in lines[1]
    rows = json.loads("\n".join(run(capsys, "list", "--json")))["entries"]
    assert [row["bytes"] for row in rows] == [1024, 2048, 3072]


def test_size_counts_entries_and_bytes(
    store: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "size") == [f"{store.root}: 3 entries, 6.14 kB"]
    found = json.loads("\n".join(run(capsys, "size", "--json")))
    assert found == {"cache": str(store.root), "entries": 3, "bytes": 6144}


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ([], ["model1", "model2"]),
        (["--days", "10"], ["model1"]),
        (["--days", "100"], ["model1", "model2", "model3"]),
        (["--days", "100", "--size", "3.5K"], ["model1", "model2"]),
        (["--days", "100", "--size", "0"], []),
    ],
)
def test_prune_removes_the_old_and_then_the_large(
    store: FolderStore,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    left: list[str],
) -> None:
    would = run(capsys, "prune", "--dry-run", *words)
    assert len(store.stored()) == 3
    removed = run(capsys, "prune", *words)
    assert removed == [line.replace("would remove", "removed") for line in would]
    labels = [each.entry.label.split()[1] for each in store.stored()]
    assert labels == left
    files = [path for path in (store.root / "content").glob("*/*") if path.is_file()]
    assert len(files) == len(left)


def test_verify_names_what_is_damaged(
    store: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "verify") == [f"{store.root}: all 3 entries as they were stored"]
    damaged = store.content(store.stored()[1].entry)
    damaged.write_bytes(b"x")
    lines = run(capsys, "verify", status=1)
    assert lines[0] == f"{'2' * 64}: compile model2 is damaged"
    assert "1 entry damaged" in lines[1]
    (row,) = json.loads("\n".join(run(capsys, "verify", "--json", status=1)))["damaged"]
    assert row["key"] == "2" * 64


def test_a_cache_that_no_build_has_used_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCX_CACHE_DIR", str(tmp_path / "none"))
    assert run(capsys, "list") == [f"{tmp_path / 'none'}: nothing"]
    assert run(capsys, "prune")[-1].endswith("removed 0 entries, 0 B")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("action", ["list", "size", "prune", "verify"])
def test_a_folder_that_is_named_must_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    named = tmp_path / "none"
    assert main(["cache", action, "--dir", str(named)]) == 2
    assert capsys.readouterr() == (
        "",
        f"mlcx: cache {named}: there is no such folder\n",
    )
    assert not named.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prune", "--size", "much"], "expected a size such as 8G"),
        (["prune", "--days", "-1"], "expected a number of days from 0 on"),
    ],
)
def test_a_wrong_limit_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cache", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_size_is_what_all_other_sizes_are() -> None:
    parser = argparse.ArgumentParser()
    cache_arguments(parser)
    for words, size in ((["--size", "2G"], 2 * 10**9), ([], 10**10)):
        assert parser.parse_args(["prune", *words]).size == size


def test_a_cache_that_is_switched_off_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCX_CACHE_DIR", "none")
    assert main(["cache", "list"]) == 2
    assert "switched off: name one with --dir" in capsys.readouterr().err
