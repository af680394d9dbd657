"""Journals that a kill, a full disk or a stranger left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlcx.errors import BuildError
from mlcx.report.journal import Journal, Result

GOOD = '{"target": "a", "status": "built", "seconds": 1.5, "bytes": 3}'


@pytest.mark.parametrize(
    "line",
    [
        b'{"target": "b", "sta',
        b"\0\xff\xfe",
        b"[" * 100_000,
        b"5",
        b"[1]",
        b'{"target": ["b"], "status": "built"}',
        b'{"target": "b", "status": "done"}',
        b'{"target": "b", "status": "built", "seconds": "long"}',
        b'{"target": "b", "status": "built", "bytes": 1.5}',
        b'{"target": "b", "status": "built", "log": 3}',
        b'{"target": "b", "status": "built", "more": 3}',
    ],
)
def test_a_line_that_no_build_wrote_is_counted_and_passed_over(
    tmp_path: Path, line: bytes
) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_bytes(GOOD.encode() + b"\n" + line + b"\n\n" + GOOD.encode() + b"\n")
    journal = Journal(file)
    assert journal.unread == 1
    assert journal.latest("a") == Result("a", "built", 1.5, 3)
    assert journal.latest("b") is None
    journal.compact()
    assert Journal(file).unread == 0


def test_a_line_without_an_end_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_text(GOOD + "\n" + GOOD[:20])
    Journal(file).add(Result("b", "failed", 0.0, error="x"))
    again = Journal(file)
    assert (again.unread, again.latest("b")) == (
        1,
        Result("b", "failed", 0.0, error="x"),
    )


def test_a_disk_that_takes_half_a_line_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, journal = tmp_path / "journal.jsonl", Journal(tmp_path / "journal.jsonl")
    write = os.write
    monkeypatch.setattr(os, "write", lambda to, data: write(to, data[:20]))
    with pytest.raises(
        BuildError, match=r"journal\.jsonl: cannot be written: No space"
    ):
        journal.add(Result("a", "built"))
    monkeypatch.undo()
    assert journal.this_run("a") == Result("a", "built")
    journal.add(Result("b", "built"))
    assert Journal(file).latest("b") == Result("b", "built")
