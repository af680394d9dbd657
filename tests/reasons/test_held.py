"""Whether products are still what their steps made: told by a look, or by reading."""

from __future__ import annotations

import json
import os
from hashlib import md5
from pathlib import Path

import pytest

from mlcx.policy import policy
from mlcx.reasons import held
from mlcx.reasons.record import Records
from mlcx.reasons.why import Why
from mlcx.steps.requests import Request


class Made:
    """A model directory with one shard, and a bundle of it, as steps left them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.shard, self.index = top / "params_shard_0.bin", top / "tensor-cache.json"
        self.shard.write_bytes(b"weights")
        record = {"dataPath": self.shard.name, "nbytes": 7}
        record["md5sum"] = md5(b"weights").hexdigest()
        self.index.write_text(json.dumps({"records": [record]}))
        self.request = Request("convert_weight", (self.index,), ())
        bundled = top / "bundle" / self.index.name
        bundled.parent.mkdir()
        bundled.write_bytes(self.index.read_bytes())
        bundled.with_name(self.shard.name).hardlink_to(self.shard)
        self.bundle = Request("bundle", (bundled,), (self.index,))
        for each in (self.request, self.bundle):
            self.why().ended(each, 1.0)

    def why(self, *known: Request) -> Why:
        """Return what another run would know."""
        why = Why(Records(self.top, self.top / "build"), policy({}))
        for each in known:
            why.know(each)
        return why

    def damage(self) -> str:
        return self.why().damage(self.request)


@pytest.fixture
def tree(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are read."""
    found: list[str] = []
    real = held.digest_file

    def digest(path: Path, **more: str) -> str:
        found.append(path.name)
        return real(path, **more)

    monkeypatch.setattr(held, "digest_file", digest)
    return found


def test_what_looks_as_it_did_is_not_read(tree: Made, read: list[str]) -> None:
    assert (tree.damage(), read) == ("", [])


def test_a_shard_is_held_against_its_index(tree: Made, read: list[str]) -> None:
    tree.shard.write_bytes(b"Weights")
    assert tree.damage() == "params_shard_0.bin changed since it was made"
    assert read == ["params_shard_0.bin"]


def test_an_index_is_held_against_its_record(tree: Made) -> None:
    tree.index.write_text(tree.index.read_text() + " ")
    assert tree.damage() == "tensor-cache.json changed since it was made"


def test_what_was_touched_is_read_in_one_run(tree: Made, read: list[str]) -> None:
    os.utime(tree.shard, (1, 1))
    why = tree.why()
    assert [why.damage(tree.request) for _ in range(2)] == ["", ""]
    why.looked_again(tree.request)
    assert tree.damage() == ""
    assert read == ["params_shard_0.bin"]


def test_what_is_doubted_is_read_although_it_looks_right(tree: Made) -> None:
    before = tree.shard.stat()
    tree.shard.write_bytes(b"Weights")
    os.utime(tree.shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tree.damage() == ""
    why = tree.why()
    why.held.doubted.add(tree.shard)
    assert why.damage(tree.request) == "params_shard_0.bin changed since it was made"


def test_a_rotten_shard_of_nobody_is_named_and_any_other_is_made_again(
    tree: Made,
) -> None:
    tree.shard.write_bytes(b"Weights")
    said = "params_shard_0.bin changed since it was bundled: put the model there anew"
    assert tree.why(tree.bundle).rotten(tree.bundle) == said
    assert tree.why(tree.request, tree.bundle).rotten(tree.bundle) == ""


def test_what_is_not_recorded_is_believed(tree: Made) -> None:
    record = Records(tree.top, tree.top / "build").path("tensor-cache.json")
    record.unlink()
    tree.shard.write_bytes(b"Weights")
    assert tree.damage() == ""
