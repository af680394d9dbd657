"""The lock file says the same again, and nothing in it is believed unseen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import InputError
from mlcx.spec.hub import Repository
from mlcx.spec.lock import LockedFile, LockedModel, read, write

SHA256 = "ab" * 32
MODEL = LockedModel(
    Repository("user", "repo"),
    "0123456789" * 4,
    "checkpoint",
    {"model_type": "llama"},
    (
        LockedFile("config.json", 10, SHA256),
        LockedFile("model.safetensors", 20, SHA256),
        LockedFile("model.safetensors.index.json", 20, SHA256),
    ),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    other = LockedModel(Repository("a", "b", "v1"), "f" * 40, "mlc", {}, MODEL.files)
    file = tmp_path / "mlcx.lock.json"
    write(file, [MODEL, other])
    assert read(file) == {"user/repo": MODEL, "a/b@v1": other}
    text = file.read_bytes()
    write(file, [other, MODEL])
    assert file.read_bytes() == text


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert read(tmp_path / "mlcx.lock.json") == {}


def test_texts_and_weights_are_told_apart() -> None:
    assert [file.name for file in MODEL.texts] == ["config.json"]
    assert len(MODEL.weights) == 2


def renamed(name: str) -> Callable[[Any], Any]:
    def change(entry: Any) -> None:
        entry["files"][name] = entry["files"].pop("config.json")

    return change


def put(*steps: str, value: object) -> Callable[[Any], Any]:
    def change(entry: Any) -> None:
        *outer, last = steps
        for step in outer:
            entry = entry[step]
        entry[last] = value

    return change


CHANGES = {
    "a parent": renamed("../config.json"),
    "an absolute path": renamed("/etc/passwd"),
    "a drive": renamed("C:config.json"),
    "a folder": renamed("a/config.json"),
    "a backslash": renamed("a\\config.json"),
    "a control character": renamed("config.json\n"),
    "a hidden file": renamed(".config.json"),
    "two names that are one": renamed("MODEL.safetensors"),
    "no commit": put("commit", value="main"),
    "a number for a commit": put("commit", value=7),
    "no config": put("config", value=None),
    "no files": put("files", value={}),
    "a list of files": put("files", value=["config.json"]),
    "no size": put("files", "config.json", value={"sha256": SHA256}),
    "a negative size": put("files", "config.json", "size", value=-1),
    "a size that is true": put("files", "config.json", "size", value=True),
    "a short hash": put("files", "config.json", "sha256", value="ab"),
    "a source elsewhere": put("files", "config.json", "source", value="../x"),
    "a source that is no text": put("files", "config.json", "source", value=0),
    "another kind": put("kind", value="pickle"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_damaged_entry_is_refused(
    tmp_path: Path, change: Callable[[Any], Any]
) -> None:
    file = tmp_path / "mlcx.lock.json"
    write(file, [MODEL])
    content = json.loads(file.read_bytes())
    change(content["models"]["user/repo"])
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="the entry of 'user/repo' is damaged"):
        read(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged: .*not JSON"),
        ("[]", "is damaged: .*expected a JSON object"),
        ("{}", "expected version 1, found null"),
        ('{"version": 2, "models": {}}', "expected version 1, found 2"),
        ('{"version": 1}', "expected an object 'models'"),
        ('{"version": 1, "models": {"../x": {}}}', "the entry of '../x' is damaged"),
    ],
)
def test_a_damaged_file_is_refused_with_a_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "mlcx.lock.json"
    file.write_text(text)
    with pytest.raises(InputError, match=f"(?s){message}.*mlcx lock makes it anew"):
        read(file)
