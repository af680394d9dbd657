from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.manifest.compare import differences

LONG = bytes(range(256)) * 8192  # two blocks


def folders(tmp_path: Path, one: dict[str, bytes], two: dict[str, bytes]) -> list[Path]:
    made = []
    for name, content in (("one", one), ("two", two)):
        made.append(tmp_path / name)
        for file, data in content.items():
            (made[-1] / file).parent.mkdir(parents=True, exist_ok=True)
            (made[-1] / file).write_bytes(data)
    return made


@pytest.mark.parametrize("offset", [0, 5, 1 << 20, len(LONG) - 1])
def test_the_first_byte_that_differs_is_named(tmp_path: Path, offset: int) -> None:
    changed = bytearray(LONG)
    changed[offset] ^= 0xFF
    same = {"a": LONG, "sub/b": b""}
    pair = folders(tmp_path, {**same, "c": LONG}, {**same, "c": bytes(changed)})
    (found,) = differences(*pair)
    assert (found.file, found.offset) == ("c", offset)
    one, two = f"{LONG[offset]:02x}", f"{changed[offset]:02x}"
    said = str(found).partition(" on: ")[2].split(" / ")
    assert [each[:2] for each in said] == [one, two]


def test_a_file_that_ends_early_or_is_missing_differs(tmp_path: Path) -> None:
    one = {"a": LONG[:9], "b": b"", "d": b"x"}
    two = {"a": LONG[:5], "c": b"", "d": b"x"}
    assert [str(each) for each in differences(*folders(tmp_path, one, two))] == [
        "a: the second ends at byte 5",
        "b: only the first build made it",
        "c: only the second build made it",
    ]
    assert not list(
        differences(*(tmp_path / name for name in ("one", "two")), "d".__eq__)
    )
