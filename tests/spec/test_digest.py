"""Digests change with what they stand for, and with nothing else."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcx.layers import closure
from mlcx.spec import digest


def test_canonical_json_knows_one_text_for_one_value() -> None:
    value = {"b": [1, 2.5, None, True], "a": "é"}
    assert digest.canonical_json(value) == '{"a":"\\u00e9","b":[1,2.5,null,true]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest.canonical_json(float("nan"))


def test_a_json_digest_is_the_sha256_of_that_text() -> None:
    expected = hashlib.sha256(b'{"a":1,"b":2}').hexdigest()
    assert digest.digest_json({"b": 2, "a": 1}) == expected


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_digest_is_the_sha256_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    (tmp_path / "x").write_bytes(data)
    assert digest.digest_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A tree like mlcx: a module, a package with one inside, and another package."""
    for name in ("errors.py", "nn/__init__.py", "nn/deep/mlp.py", "runtime/engine.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def _edit(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text("changed")


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        (_edit("errors.py"), True),
        (_edit("nn/deep/mlp.py"), True),
        (_edit("nn/new.py"), True),
        (_edit("nn/deep/table.json"), True),
        (lambda root: (root / "nn/__init__.py").unlink(), True),
        (lambda root: (root / "nn/deep/mlp.py").rename(root / "nn/deep/m.py"), True),
        (_edit("runtime/engine.py"), False),
        (_edit("nn/notes.txt"), False),
        (lambda root: (root / "errors.py").touch(), False),
    ],
)
def test_a_digest_of_sources_follows_the_packages_that_it_is_of(
    sources: Path, change: Callable[[Path], object], matters: bool
) -> None:
    before = digest.digest_sources(("nn", "errors"), sources)
    change(sources)
    after = digest.digest_sources({"errors", "nn"}, sources)
    assert (after != before) is matters


def test_the_sources_of_mlcx_itself_are_found() -> None:
    compiler = digest.digest_sources(closure("compiler"))
    runtime = digest.digest_sources(closure("runtime"))
    assert len({compiler, runtime, digest.digest_sources(())}) == 3
