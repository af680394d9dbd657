"""What a spec made once, and makes no longer, is named as long as it is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlcx.policy import policy
from mlcx.reasons.record import Records
from mlcx.reasons.why import Why
from mlcx.scons.declared import SCRIPT
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

    def left(
        self, *requests: Request, spec: str = "a.json", output: str = "dist"
    ) -> list[str]:
        (self.top / spec).touch()
        folders = Folders(self.top / output, self.folders.build)
        found = Former(self.top, folders, self.records).left({spec: requests})
        return [name for name, _ in found]


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
    assert json.loads(file.read_bytes())["now"] == ["dist/lib/one.so"]
    assert tree.left() == ["dist/lib/one.so"]


@pytest.mark.parametrize("output", ["release", "."])
def test_what_a_spec_makes_in_another_folder_is_not_left(
    tree: Tree, output: str
) -> None:
    tree.left(*tree.made)
    assert tree.left(output=output) == []
    assert tree.left(*tree.made) == []


def test_what_lies_in_the_build_folder_is_no_product(tree: Tree) -> None:
    config = Request("normalize", (tree.folders.build / "config.json",), ())
    config.targets[0].write_text("{}")
    Why(tree.records, policy({})).ended(config, 1.0)
    tree.left(config, output=".")
    assert tree.left(output=".") == []


def test_what_a_spec_made_that_is_gone_is_left(tree: Tree) -> None:
    one, two = tree.made
    tree.left(one, two)
    (tree.top / "a.json").unlink()
    assert tree.left(one, spec="b.json") == ["dist/lib/two.so"]
    assert tree.left(one, spec="b.json") == ["dist/lib/two.so"]
    assert tree.left(two, spec="b.json") == ["dist/lib/one.so"]


def test_what_a_script_of_another_name_made_is_not_left(tree: Tree) -> None:
    one, two = tree.made
    tree.left(two, spec=SCRIPT)
    (tree.top / SCRIPT).unlink()  # scons -f
    assert tree.left(one, spec="b.json") == []


def test_what_two_specs_make_no_longer_is_left(tree: Tree) -> None:
    one, two = tree.made
    for spec in ("a.json", "b.json"):
        tree.left(one, two, spec=spec)
    assert tree.left(one, spec="a.json") == []
    assert tree.left(one, spec="b.json") == ["dist/lib/two.so"]
    assert tree.left(one, spec="a.json") == ["dist/lib/two.so"]


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
    assert built.scons().stderr.splitlines() == expected
    for each in ("bundle/two", "lib/two.so"):
        path = built.root / "dist" / each
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert built.scons().stderr == ""
    assert built.scons("-c").returncode == 0
    assert not (built.root / "build/asked").exists()
