"""Objects out of packed libraries, on their way into an archive."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlcx.toolchain import archive


def test_members_of_one_name_are_all_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, scratch = tmp_path / "one.tar", tmp_path / "scratch"
    scratch.mkdir()
    with tarfile.open(library, "w") as tar:
        for name in ("b.o", "one/a.o", "two/a.o"):
            (tmp_path / "content").write_text(name)
            tar.add(tmp_path / "content", name)
    archived: list[tuple[str, str]] = []

    def run(command: Sequence[object], folder: Path) -> None:
        assert folder == scratch
        paths = [path for path in command if isinstance(path, Path)][1:]
        archived.extend((path.name, path.read_text()) for path in paths)

    monkeypatch.setattr(archive.zig, "run", run)
    archive.combine([library], tmp_path / "x.a", scratch)
    assert archived == [("a.o", "one/a.o"), ("a.o", "two/a.o"), ("b.o", "b.o")]
