from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.artifact import read_json, replacing, write_json
from mlcx.errors import BuildError, InputError


def test_a_file_is_replaced_in_one_go(tmp_path: Path) -> None:
    target = tmp_path / "a" / "x"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["x"]


def test_what_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")

    def fill(file: Path) -> None:
        file.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"), replacing(target) as temporary:
        fill(temporary)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "x.json"
    with pytest.raises(BuildError, match=r"x\.json: cannot be written: "):
        write_json(target, {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "x: cannot be read: No such file"),
        (b"{", "x:1:2: not JSON"),
        (b'{"a": "\xff"}', "x: not JSON: not UTF-8"),
        (b"[]", "x: expected a JSON object, found list"),
    ],
)
def test_what_is_no_json_object_is_refused(
    tmp_path: Path, data: bytes | None, message: str
) -> None:
    if data is not None:
        (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_json(tmp_path / "x")
    assert message in str(caught.value)
