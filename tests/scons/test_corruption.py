"""What a build keeps for the next one, damaged: said, not used, made anew."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mlcx.reasons.record import Records
from mlcx.store.entry import DamagedError, Entry

from .project import Project

GARBAGE = (b"", b"\0\xff\x80", b"[" * 100_000, b"null", b"[]", b'{"version": 1}')


def harmed(value: object, dice: random.Random) -> object:
    """Return ``value`` with one part of it, somewhere, of another type."""
    inner = list(value.items()) if isinstance(value, dict) else value
    inner = list(enumerate(inner)) if isinstance(value, list) else inner
    if not isinstance(inner, list) or not inner or dice.random() < 0.15:
        return dice.choice([None, 5, "x", [], {}, 1.5, [1], {"a": 1}, True])
    key, each = dice.choice(inner)
    changed = {**dict(inner), key: harmed(each, dice)}
    return changed if isinstance(value, dict) else list(changed.values())


def test_no_record_of_another_shape_is_believed(built: Project) -> None:
    records, dice = Records(built.root, built.root / "build"), random.Random(5)
    target = "build/one/config/q4f16_1/compile-config.json"
    whole = json.loads(records.path(target).read_bytes())
    assert records.stands(target)
    for text in [*GARBAGE, *(json.dumps(harmed(whole, dice)) for _ in range(150))]:
        data = text if isinstance(text, bytes) else text.encode()
        records.path(target).write_bytes(data)
        assert not records.stands(target)
        assert records.read(target) is None


@pytest.mark.parametrize("data", GARBAGE)
def test_no_entry_of_another_shape_is_believed(data: bytes) -> None:
    with pytest.raises(DamagedError, match="the entry k "):
        Entry.parse("k", data)


def test_a_build_whose_memory_is_garbage_works(built: Project) -> None:
    before = built.files()
    build = built.root / "build"
    records = sorted((build / "inputs").rglob("*.json"))
    for number, path in enumerate(records):
        path.write_bytes(GARBAGE[number % len(GARBAGE)])
    for name in ("journal.jsonl", "valid-specs", "lock", "hashes.json"):
        (build / name).write_bytes(b"\0\xff\x80[" * 1000)
    built.edit("models/one/config.json", context_window_size=128)
    done = built.scons("MANIFEST=1")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    unread = "build/journal.jsonl: 1 lines cannot be read, and are passed over"
    assert f"mlcx: warning: {unread}\n" in done.stderr
    assert "compile dist/lib/one.so  (its record is damaged)\n" in done.stdout
    assert "compile dist/lib/two.so" not in done.stdout
    # Of what was made now.
    assert json.loads((build / "inputs/dist/lib/one.so.json").read_bytes())["seconds"]
    manifest = json.loads((built.root / "dist/manifest.json").read_text())
    made = {each["name"] for each in manifest["subject"]}
    assert {"lib/one.so", "bundle/two/tensor-cache.json"} <= made
    assert before.keys() <= built.files().keys()
    assert Path(build / "journal.jsonl").read_text().count("\n") >= 5
