"""Which files may have been written to since a target was made; no content is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlcx.policy import policy
from mlcx.reasons import why as module
from mlcx.reasons.record import Records
from mlcx.reasons.why import Why
from mlcx.steps.requests import Request


@pytest.fixture
def why(tmp_path: Path) -> Why:
    """Return what knows one target, made of one source."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("one")
    target.write_text("made")
    found = Why(Records(tmp_path, tmp_path / "build"), policy({}))
    request = Request("app_config", (target,), (source,), ())
    found.know(request)
    found.ended(request, 1.0)
    return found


def test_a_target_that_is_made_for_the_first_time_is_not_missing(
    why: Why, tmp_path: Path
) -> None:
    added, made = tmp_path / "added.json", tmp_path / "made.json"
    added.write_text("{}")
    source, target = tmp_path / "source", tmp_path / "target"
    request = Request("app_config", (target, made), (source, added), ())
    assert [each.short for each in why.changes(request)] == ["added.json is now read"]
    target.unlink()
    kinds = [(each.kind, each.name) for each in why.changes(request)]
    assert kinds == [("missing", "target"), ("source", "added.json")]


def test_what_was_not_written_to_is_not_touched(why: Why, tmp_path: Path) -> None:
    assert not why.is_touched(tmp_path / "source", "target")


def test_another_file_of_the_same_size_and_time_is(why: Why, tmp_path: Path) -> None:
    source = tmp_path / "source"
    before = source.stat()
    other = tmp_path / "other"
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(source)
    assert why.is_touched(source, "target")


def test_a_write_within_the_same_second_is(why: Why, tmp_path: Path) -> None:
    source = tmp_path / "source"
    before = source.stat()
    source.write_text("two")
    whole = before.st_mtime_ns // 10**9 * 10**9
    os.utime(source, ns=(before.st_atime_ns, whole + 7))
    assert why.is_touched(source, "target")


def test_what_was_never_recorded_or_is_gone_is_not(why: Why, tmp_path: Path) -> None:
    assert not why.is_touched(tmp_path / "other", "target")
    assert not why.is_touched(tmp_path / "source", "another target")
    (tmp_path / "source").unlink()
    assert not why.is_touched(tmp_path / "source", "target")


def test_what_was_touched_and_looked_at_again_is_hashed_once(
    why: Why, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    request = Request("app_config", (target,), (source,), ())
    seconds = why.records.read("target").seconds
    os.utime(source, (1, 1))
    assert why.is_touched(source, "target")
    why.looked_again(request)
    assert why.records.read("target").seconds == seconds
    again = Why(why.records, policy({}))
    again.know(request)
    assert not again.is_touched(source, "target")
    monkeypatch.setattr(module, "look", None)  # would be called to look again
    again.looked_again(request)
