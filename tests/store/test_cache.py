"""Levels of a store as one cache: takes, stores, and gets over what goes wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mlcx.errors import BuildError
from mlcx.store.cache import Cache
from mlcx.store.entry import DamagedError, Entry
from mlcx.store.folder import FolderStore
from mlcx.store.objects import Listed
from mlcx.store.remote import RemoteStore

KEY, OTHER = "a" * 64, "b" * 64


class Memory:
    """An object store, as the protocol says it; fails when it is ``gone``."""

    url = "memory://"

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.written: dict[str, float] = {}
        self.gone = False
        self.asked: list[list[str]] = []
        """What each question was about."""

    def text(self, name: str) -> bytes | None:
        self._fail()
        self.asked.append([name])
        return self.content.get(name)

    def texts(self, names: Iterable[str]) -> list[bytes | None]:
        self._fail()
        self.asked.append(list(names))
        return [self.content.get(name) for name in self.asked[-1]]

    def read(self, name: str) -> list[bytes] | None:
        self._fail()
        return [self.content[name]] if name in self.content else None

    def holds(self, name: str) -> bool:
        self._fail()
        return name in self.content

    def write(self, name: str, content: bytes | Path) -> bool:
        self._fail()
        data = content if isinstance(content, bytes) else content.read_bytes()
        return self.content.setdefault(name, data) is data

    def remove(self, name: str) -> None:
        self.content.pop(name, None)

    def listed(self, folder: str) -> Iterator[Listed]:
        self._fail()
        for name, data in list(self.content.items()):
            if name.startswith(f"{folder}/"):
                yield Listed(name, len(data), self.written.get(name, time.time()))

    def _fail(self) -> None:
        if self.gone:
            raise OSError("memory:// is gone")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def objects() -> Memory:
    return Memory()


def made(tmp_path: Path, data: bytes = b"data") -> Path:
    file = tmp_path / "made"
    file.write_bytes(data)
    return file


def both(folder: Path, objects: Memory, said: list[str], **how: bool) -> Cache:
    return Cache([FolderStore(folder), RemoteStore(objects)], said.append, **how)


def test_what_was_put_in_comes_out(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    cache = both(tmp_path / "c", objects, said)
    assert cache.take(KEY, tmp_path / "x") is None
    assert cache.holds(KEY) is None
    cache.put(KEY, made(tmp_path), "label")
    assert cache.take(KEY, tmp_path / "x") is not None
    assert (tmp_path / "x").read_bytes() == b"data"
    assert cache.holds(KEY) == str(tmp_path / "c")
    assert said == []


def test_a_level_far_away_is_asked_once_for_all_that_is_not_near(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    keys = [digit * 64 for digit in "abcd"]
    cache = both(tmp_path / "folder", objects, said)
    for key in keys[:2]:
        cache.put(key, made(tmp_path), key)
    for path in sorted((tmp_path / "folder/entries").glob("*/*"))[1:]:
        path.unlink()
    near = FolderStore(tmp_path / "folder").stored()[0].entry.key
    objects.content[f"entries/{keys[2]}"] = b"{"
    objects.asked.clear()
    found = cache.find_all([*keys, *keys])
    levels = {key: each.level for key, each in found.items()}
    far = ({keys[0], keys[1]} - {near}).pop()
    assert levels == {near: str(tmp_path / "folder"), far: "memory://"}
    assert objects.asked[0] == [f"entries/{key}" for key in keys if key != near]
    assert [line.split(": ")[1] for line in said] == [
        f"the entry {keys[2]} cannot be read"
    ]
    assert f"entries/{keys[2]}" not in objects.content
    assert cache.holds(keys[3]) is None
    assert objects.asked[-1] == [f"entries/{keys[3]}"], "not what was said before"


def test_what_is_far_is_kept_near(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    both(tmp_path / "a", objects, said).put(KEY, made(tmp_path), "label")
    other = both(tmp_path / "b", objects, said)
    assert other.holds(KEY) == "memory://"
    assert other.take(KEY, tmp_path / "x") is not None
    objects.gone = True
    assert both(tmp_path / "b", objects, said).take(KEY, tmp_path / "y") is not None
    assert (tmp_path / "y").read_bytes() == b"data"


def test_what_is_damaged_far_away_is_removed_and_stored_again(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    both(tmp_path / "a", objects, said).put(KEY, made(tmp_path), "label")
    name = next(name for name in objects.content if name.startswith("content/"))
    objects.content[name] = b"dat"
    other = both(tmp_path / "b", objects, said)
    assert other.take(KEY, tmp_path / "x") is None
    assert not (tmp_path / "x").exists()
    assert "memory://: label is damaged: expected 4 bytes" in said[0]
    assert objects.content == {}
    other.put(KEY, made(tmp_path), "label")
    assert objects.content[name] == b"data"


def test_read_only_leaves_both_as_they_are(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    both(tmp_path / "a", objects, said).put(KEY, made(tmp_path), "label")
    before = dict(objects.content)
    reader = both(tmp_path / "b", objects, said, readonly=True)
    assert reader.take(KEY, tmp_path / "x") is not None
    reader.put(OTHER, made(tmp_path, b"more"), "label")
    assert objects.content == before
    assert not (tmp_path / "b").exists()


def test_a_level_that_fails_is_reported_once_and_left_alone(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    cache = both(tmp_path / "a", objects, said)
    objects.gone = True
    for key in (KEY, OTHER):
        cache.put(key, made(tmp_path), "label")
        assert cache.take(key, tmp_path / "x") is not None
    assert said == ["cache memory://: memory:// is gone: going on without it"]


def test_of_two_writers_the_first_one_wins(
    tmp_path: Path, objects: Memory, said: list[str]
) -> None:
    both(tmp_path / "a", objects, said).put(KEY, made(tmp_path, b"one"), "label")
    both(tmp_path / "b", objects, said).put(KEY, made(tmp_path, b"two"), "label")
    both(tmp_path / "c", objects, said).take(KEY, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"one"


@pytest.mark.parametrize("kind", ["folder", "objects"])
@pytest.mark.parametrize("text", [None, b"{"])
def test_an_entry_that_nobody_can_take_is_replaced(
    tmp_path: Path, objects: Memory, said: list[str], kind: str, text: bytes | None
) -> None:
    """Its content is gone, or it cannot be read; a build may make other bytes."""
    store = RemoteStore(objects) if kind == "objects" else FolderStore(tmp_path / "c")
    first = Entry.of(KEY, made(tmp_path, b"first"), "label")
    store.put(first, made(tmp_path, b"first"))
    if kind == "objects" and text is None:
        del objects.content[f"content/{first.sha256}"]
    elif kind == "objects":
        objects.content[f"entries/{KEY}"] = text
    elif text is None:
        next((tmp_path / "c/content").glob("*/*")).unlink()
    else:
        next((tmp_path / "c/entries").glob("*/*")).write_bytes(text)
    cache = Cache([store], said.append)
    if kind == "folder" and text is None:
        assert cache.holds(KEY) is None
        assert [wrong for _, wrong in store.check()] == ["label is gone"]
    cache.put(KEY, made(tmp_path, b"second"), "label")
    assert cache.take(KEY, tmp_path / "x") is not None
    assert (tmp_path / "x").read_bytes() == b"second"
    assert list(store.check()) == said == []


@pytest.mark.parametrize("kind", ["folder", "objects"])
def test_what_is_replaced_leaves_its_content_to_other_keys(
    tmp_path: Path, objects: Memory, said: list[str], kind: str
) -> None:
    store = RemoteStore(objects) if kind == "objects" else FolderStore(tmp_path / "c")
    cache = Cache([store], said.append)
    for key in (KEY, OTHER):
        cache.put(key, made(tmp_path, b"both"), "label")
    cache.put(KEY, made(tmp_path, b"other"), "label", replace=True)
    for key, expected in ((KEY, b"other"), (OTHER, b"both")):
        assert cache.take(key, tmp_path / "x") is not None
        assert (tmp_path / "x").read_bytes() == expected


@pytest.mark.parametrize("kind", ["folder", "objects"])
def test_no_level_is_to_blame_for_a_target_that_cannot_be_written(
    tmp_path: Path, objects: Memory, said: list[str], kind: str
) -> None:
    store = RemoteStore(objects) if kind == "objects" else FolderStore(tmp_path / "c")
    cache = Cache([store], said.append)
    cache.put(KEY, made(tmp_path), "label")
    with pytest.raises(BuildError, match="made/x: cannot be written"):
        cache.take(KEY, tmp_path / "made/x")
    assert cache.take(KEY, tmp_path / "x") is not None
    assert said == []


def test_what_is_removed_while_it_is_taken_is_only_gone(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path / "c")
    cache = Cache([store], said.append)
    cache.put(KEY, made(tmp_path), "label")
    content = store.content(store.stored()[0].entry)

    def pruned(self: Path) -> bool:
        """Say that a file is there which is removed before it can be opened."""
        content.unlink(missing_ok=True)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", pruned)
        pruned(content)
        assert cache.take(KEY, tmp_path / "x") is None
    cache.put(KEY, made(tmp_path), "label")
    assert cache.take(KEY, tmp_path / "x") is not None
    assert said == []


def test_content_is_stored_once_for_all_its_keys(tmp_path: Path) -> None:
    store, file = FolderStore(tmp_path / "c"), made(tmp_path)
    entries = [Entry.of(key, file, "label") for key in (KEY, OTHER)]
    for entry in entries:
        store.put(entry, file)
    assert len(list((store.root / "content").glob("*/*"))) == 1
    store.remove(entries[:1])
    assert store.take(entries[1], tmp_path / "x")
    store.remove(entries[1:])
    assert not list((store.root / "content").glob("*/*"))


@pytest.mark.parametrize("kind", ["folder", "objects"])
def test_what_no_entry_promises_goes_once_nobody_can_be_writing_it(
    tmp_path: Path, objects: Memory, kind: str
) -> None:
    store = RemoteStore(objects) if kind == "objects" else FolderStore(tmp_path / "c")
    kept = Entry.of(KEY, made(tmp_path, b"kept"), "label")
    dropped = Entry.of(OTHER, made(tmp_path, b"dropped"), "label")
    store.put(dropped, made(tmp_path, b"dropped"))
    store.put(kept, made(tmp_path, b"kept"))
    store.discard("c" * 64)
    assert {each.entry for each in store.stored()} == {kept, dropped}
    assert list(store.check()) == []
    for name, age in (("0" * 64, 10), ("1" * 64, 7200)):
        if kind == "objects":
            objects.content[f"content/{name}"] = b"x"
            objects.written[f"content/{name}"] = time.time() - age
        else:
            file = tmp_path / "c/content" / name[:2] / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"x")
            os.utime(file, (time.time() - age,) * 2)
    store.remove([dropped])
    assert [each.entry for each in store.stored()] == [kept]
    there = {path.name for path in (tmp_path / "c/content").glob("*/*")}
    there |= {name[8:] for name in objects.content if name.startswith("content/")}
    assert there == {kept.sha256, "0" * 64}


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"key": 1}', b"\xff"])
def test_an_entry_that_cannot_be_read_is_damaged(text: bytes) -> None:
    with pytest.raises(DamagedError, match="cannot be read"):
        Entry.parse(KEY, text)
