"""What a spec made once, and makes no longer, is named as long as it is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcx.policy import policy
from mlcx.reasons.record import Records
from mlcx.reasons.why import Why
from mlcx.scons.former import Former
from mlcx.steps.requests import Folders, Request

from .project import Project


class Tree:
    """A folder in which two products were made."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.folders = Folders(top / "dist", top / "build")
        self.records = Records(top, self.folders.build)
        why = Why(self.records, policy({}))
        (top / "dist/lib").mkdir(parents=True)
        self.made = [self._request(name) for name in ("one.so", "two.so")]
        for each in self.made:
            each.targets[0].write_bytes(b"a library")
            why.ended(each, 1.0)

    def _request(self, name: str) -> Request:
        return Request("compile", (self.folders.output / "lib" / name,), ())

    def left(self, *requests: Request, spec: str = "a.json") -> list[str]:
        former = Former(self.top, self.folders, self.records)
        return former.left(spec, requests)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_it_is_named_again_and_again_until_it_is_gone(tree: Tree) -> None:
    one, two = tree.made
    assert tree.left(one, two) == []
    assert tree.left(one) == tree.left(one) == ["dist/lib/two.so"]
    two.targets[0].unlink()
    assert tree.left(one) == []
    two.targets[0].write_bytes(b"of my own")
    assert tree.left(one) == []


def test_what_somebody_has_put_there_is_not_named(tree: Tree) -> None:
    one, two = tree.made
    tree.left(one, two)
    two.targets[0].write_bytes(b"not made!")
    assert tree.left(one) == []


def test_what_another_spec_makes_is_not_left(tree: Tree) -> None:
    one, two = tree.made
    tree.left(one, two)
    tree.left(two, spec="b.json")
    assert tree.left(one) == []


@pytest.mark.parametrize("text", ["{", "5", "[5]", "null"])
def test_a_damaged_list_is_none(tree: Tree, text: str) -> None:
    tree.left(*tree.made)
    (file,) = (tree.folders.build / "asked").iterdir()
    file.write_text(text)
    assert tree.left(tree.made[0]) == []
    assert json.loads(file.read_bytes()) == ["dist/lib/one.so"]


def test_a_build_names_a_model_that_was_removed(built: Project) -> None:
    built.build()
    (built.root / "dist/lib/mine.so").touch()
    built.write_spec("mlc-package-config.json", "one")
    ending = "is no longer made by mlc-package-config.json: remove it, or it ships"
    expected = [
        f"mlcx: warning: dist/{each} {ending}" for each in ("bundle/two", "lib/two.so")
    ]
    for _ in range(2):
        done = built.scons()
        assert (done.returncode, done.stderr.splitlines()) == (0, expected)
    assert built.scons("-c").returncode == 0
    assert not (built.root / "build/asked").exists()
