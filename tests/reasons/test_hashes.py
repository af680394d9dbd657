from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path

import pytest

from mlcx.reasons import hashes
from mlcx.reasons.hashes import LARGE, Hashes


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the files that are read, as they are."""
    seen: list[Path] = []
    known = hashes.digest_file

    def noted(path: Path, told: Callable[[int], object]) -> str:
        seen.append(path)
        return known(path, told)

    monkeypatch.setattr(hashes, "digest_file", noted)
    return seen


def test_a_large_file_is_read_once_by_all_who_ask(
    tmp_path: Path, read: list[Path]
) -> None:
    file, link = tmp_path / "weights", tmp_path / "link"
    file.write_bytes(bytes(LARGE))
    link.hardlink_to(file)
    known = Hashes()
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(known.of, [file] * 8))
    assert found == {known.of(link)} == {sha256(bytes(LARGE)).hexdigest()}
    assert read == [file]


def test_what_has_changed_is_read_again(tmp_path: Path, read: list[Path]) -> None:
    file, known = tmp_path / "weights", Hashes()
    file.write_bytes(bytes(LARGE))
    first = known.of(file)
    file.write_bytes(b"1" * LARGE)
    os.utime(file, ns=(1, 1))
    assert known.of(file) != first
    other = tmp_path / "other"
    other.write_bytes(bytes(LARGE))
    os.utime(other, ns=(1, 1))
    other.replace(file)
    assert known.of(file) == first
    assert len(read) == 3


def test_what_changes_while_it_is_read_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    known = Hashes(lambda _: nullcontext(lambda _: os.utime(file, ns=(1, 1))))
    file.write_bytes(bytes(LARGE))
    assert known.of(file) == sha256(bytes(LARGE)).hexdigest()
    file.write_bytes(b"1" * LARGE)
    os.utime(file, ns=(1, 1))
    assert known.of(file) == sha256(b"1" * LARGE).hexdigest()


def test_reading_can_be_given_up(tmp_path: Path) -> None:
    file, counts = tmp_path / "weights", iter((True, False, False))
    file.write_bytes(bytes(2 * LARGE))

    def told(count: int) -> None:
        assert count == LARGE
        if next(counts):
            raise RuntimeError

    known = Hashes(lambda _: nullcontext(told))
    with pytest.raises(RuntimeError):
        known.of(file)
    assert known.of(file) == sha256(bytes(2 * LARGE)).hexdigest()
