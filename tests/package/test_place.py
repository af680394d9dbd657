from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlcx.errors import BuildError, InputError
from mlcx.package import place
from mlcx.package.place import copy, share


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content" * 1000)
    path.chmod(0o640)
    return path


def no_clone(source: Path, target: Path) -> bool:
    return False


def test_a_copy_is_a_file_of_its_own(source: Path) -> None:
    target = source.with_name("target")
    copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert not target.samefile(source)


def test_sharing_falls_back_to_a_link(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_clone", no_clone)
    target = source.with_name("target")
    target.write_text("old")
    share(source, target)
    assert target.samefile(source)
    assert source.stat().st_mode & 0o777 == 0o440  # what is one file, nobody edits
    share(source, target)
    assert {path.name for path in source.parent.iterdir()} == {"source", "target"}


@pytest.mark.parametrize("old", ["nothing", "symlink"])
@pytest.mark.parametrize(
    ("blob", "is_one_file"), [("cache/blobs/4f", True), ("somebody/else", False)]
)
def test_what_a_symbolic_link_means_is_shared_in_the_cache_of_the_hub_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    blob: str,
    is_one_file: bool,
) -> None:
    monkeypatch.setattr(place, "_clone", no_clone)
    monkeypatch.chdir(tmp_path)
    named, target = Path("cache/snapshots/1/named"), Path("dist/target")
    for path in (Path(blob), named, target):
        path.parent.mkdir(parents=True, exist_ok=True)
    Path(blob).write_bytes(b"content")
    Path(blob).chmod(0o640)
    named.symlink_to(f"../../../{blob}")
    if old == "symlink":
        target.symlink_to(f"../{blob}")
    share(named, target)
    assert not target.is_symlink()
    assert target.read_bytes() == b"content"
    assert target.samefile(blob) == is_one_file
    assert Path(blob).stat().st_mode & 0o777 == (0o440 if is_one_file else 0o640)


def test_sharing_falls_back_to_a_copy(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_clone", no_clone)

    def refuse(self: Path, target: Path) -> None:
        raise OSError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    target = source.with_name("target")
    share(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert not target.samefile(source)


@pytest.mark.parametrize("put", [copy, share])
def test_a_missing_source_is_named(put: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing: expected a file"):
        put(tmp_path / "missing", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(source: Path) -> None:
    folder = source.with_name("folder")
    folder.mkdir(mode=0o500)
    with pytest.raises(BuildError, match="folder/target: cannot be written"):
        copy(source, folder / "target")


def test_a_folder_in_the_way_is_named(source: Path) -> None:
    target = source.with_name("target")
    (target / "inside").mkdir(parents=True)
    with pytest.raises(BuildError, match="target: cannot be written"):
        copy(source, target)
    with pytest.raises(BuildError, match="target: cannot be written"):
        share(source, target)
    assert {path.name for path in source.parent.iterdir()} == {"source", "target"}
