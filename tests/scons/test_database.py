"""SCons' signatures on disk: damaged, cut, foreign, and on a disk that is full."""

from __future__ import annotations

import errno
import pickle
import random
import threading
from pathlib import Path

import pytest
import SCons.dblite

from mlcx.errors import BuildError
from mlcx.scons import database, ending
from mlcx.scons.pickles import DamagedError

from .project import Project

CONTENT = {"dist": b"one" * 50, "build/é": b"", ".": b"\0"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    made = database.open(str(tmp_path / ".sconsign"), "c")
    for key, value in CONTENT.items():
        made[key] = value
    made.sync()
    return tmp_path / ".sconsign.dblite"


def test_it_is_read_back_and_scons_reads_it_too(written: Path) -> None:
    assert database.read(written) == CONTENT
    assert dict(SCons.dblite.open(str(written), "r").items()) == CONTENT


def test_what_scons_itself_wrote_is_read(tmp_path: Path) -> None:
    theirs = SCons.dblite.open(str(tmp_path / ".sconsign"), "c")
    theirs["dist"] = b"one"
    theirs.sync()
    assert database.read(tmp_path / ".sconsign.dblite") == {"dist": b"one"}


def test_nothing_is_written_when_nothing_changed(written: Path) -> None:
    again = database.open(str(written), "c")
    written.unlink()
    again["dist"] = CONTENT["dist"]
    again.sync()
    assert not written.exists()


def test_builds_with_other_folders_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = (database.open(str(tmp_path / ".sconsign"), "c") for _ in range(2))
    for number in (1, 2):
        for made, key in ((one, "a"), (two, "b")):
            made[key] = bytes(number)
            made.sync()
    content = database.read(tmp_path / ".sconsign.dblite")
    assert content == {"a": b"\0\0", "b": b"\0\0"}


def test_builds_that_write_at_once_lose_nothing_of_each_other(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (database.open(str(written), "c") for _ in range(2))
    one["a"] = two["b"] = b"new"
    other, write = threading.Thread(target=two.sync), database.write_bytes

    def slowly(path: Path, data: bytes) -> None:
        """Write, and before let the other build do so if it can."""
        if not other.ident:
            other.start()
            other.join(timeout=0.5)
        write(path, data)

    monkeypatch.setattr(database, "write_bytes", slowly)
    one.sync()
    other.join()
    assert database.read(written) == {**CONTENT, "a": b"new", "b": b"new"}


def test_damage_anywhere_is_found(written: Path) -> None:
    """One byte changed, or the end cut off: as it was, or known to be damaged."""
    whole, dice = written.read_bytes(), random.Random(7)
    for _ in range(300):
        place = dice.randrange(len(whole))
        harmed = bytearray(whole)
        harmed[place] ^= 1 << dice.randrange(8)
        for data in (bytes(harmed), whole[:place]):
            written.write_bytes(data)
            try:
                assert database.read(written) == CONTENT
            except DamagedError:
                continue
            # Behind the pickle, then.
            assert place >= whole.rindex(b"mlcx-sha256:")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage" * 99,
        b"\x80\x04]\x94.",
        pickle.dumps({1: 2}),
        b"\x80\x05\x8c\xff",
    ],
)
def test_what_is_no_database_is_said_and_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    file = tmp_path / ".sconsign.dblite"
    file.write_bytes(data)
    made = database.open(str(tmp_path / ".sconsign"), "c")
    assert list(made.keys()) == []
    said = f"mlcx: warning: {file} is damaged: it is not used, and all is made again\n"
    assert capsys.readouterr().err == said
    made["dist"] = b"new"
    made.sync()
    assert database.read(file) == {"dist": b"new"}


def test_a_full_disk_is_said_once_and_makes_the_run_fail(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise BuildError(f"{path}: cannot be written: {errno.errorcode[errno.ENOSPC]}")

    monkeypatch.setattr(database, "write_bytes", full)
    failed: list[bool] = []
    monkeypatch.setattr(ending, "fail", lambda: failed.append(True))
    made = database.open(str(written), "c")
    made["dist"] = b"new"
    made.sync()
    made.sync()
    assert failed == [True]
    assert capsys.readouterr().err == (
        f"mlcx: {written}: cannot be written: ENOSPC: "
        "the next build makes again what this one makes\n"
    )
    assert database.read(written) == CONTENT


def test_a_build_says_it_and_makes_all_again(built: Project) -> None:
    file, before = built.root / ".sconsign.dblite", built.files()
    file.write_bytes(file.read_bytes()[:-500])
    done = built.scons("-j2")
    assert done.returncode == 0, done.stderr
    message = "mlcx: warning: .sconsign.dblite is damaged: it is not used"
    assert done.stderr.startswith(message)
    assert len(built.calls()) == 11
    assert built.files() == before
    assert built.build() == []
