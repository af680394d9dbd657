from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from mlcx.reasons.record import Record, Records

SOURCES = {f"models/{number}.py": "f" * 64 for number in range(100)}
RECORD = Record(
    target="dist/lib/one.so",
    verb="compile",
    ended=1.0,
    seconds=2.0,
    options={"device": "cpu"},
    facts={"sources of mlcx": SOURCES, "TVM": {"apache-tvm": "1"}},
    sources={},
)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made = Records(tmp_path, tmp_path / "build")
    for name in ("one", "two"):
        made.write(replace(RECORD, target=f"dist/lib/{name}.so"))
    return made


def again(tmp_path: Path) -> Records:
    """Return the records as the next run finds them."""
    return Records(tmp_path, tmp_path / "build")


def test_what_records_have_in_common_is_kept_once(
    tmp_path: Path, records: Records
) -> None:
    assert again(tmp_path).read("dist/lib/one.so") == RECORD
    assert again(tmp_path).stands("dist/lib/two.so")
    assert len(records.shared()) == 1
    assert records.path("dist/lib/one.so").stat().st_size < 1000


@pytest.mark.parametrize("data", [None, b"", b"{}", b"\xff", b'{"models/1.py": "0"}'])
def test_a_record_is_as_damaged_as_what_it_needs(
    tmp_path: Path, records: Records, data: bytes | None
) -> None:
    (shared,) = records.shared()
    if data is None:
        shared.unlink()
    else:
        shared.write_bytes(data)
    found = again(tmp_path)
    assert not found.stands("dist/lib/one.so")
    assert found.read("dist/lib/one.so") is None
    assert found.has("dist/lib/one.so")
    found.write(replace(RECORD, target="dist/lib/two.so"))
    assert again(tmp_path).read("dist/lib/one.so") == RECORD


def test_a_record_of_the_earlier_kind_is_read(tmp_path: Path) -> None:
    found = again(tmp_path)
    found.write(replace(RECORD, facts={}))
    text = found.path("dist/lib/one.so").read_text()
    facts = json.dumps(RECORD.facts)
    text = text.replace('"facts": {}', f'"facts": {facts}').replace(": 4,", ": 3,")
    rest = text.partition(",")[2]
    seal = sha256(rest.encode()).hexdigest()
    found.path("dist/lib/one.so").write_text(f'{{\n "sha256": "{seal}",{rest}')
    assert again(tmp_path).read("dist/lib/one.so") == RECORD


def test_what_no_record_names_any_more_goes(tmp_path: Path) -> None:
    for number in range(200):
        facts = {"sources": {**SOURCES, "models/0.py": str(number)}}
        again(tmp_path).write(replace(RECORD, facts=facts))
    found = again(tmp_path)
    assert len(found.shared()) < 100
    last = found.read("dist/lib/one.so")
    assert last is not None
    assert last.facts["sources"]["models/0.py"] == "199"
    found.clear()
    assert not (tmp_path / "build/facts").exists()
