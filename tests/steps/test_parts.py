from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.spec.digest import digest_file
from mlcx.spec.lock import LockedFile
from mlcx.spec.verified import Verified
from mlcx.steps.files import model_files, weight_files
from mlcx.steps.parts import all_of, differs, fault, leftovers, made_beside, parts


def write_index(folder: Path, **shards: int) -> Path:
    folder.mkdir(exist_ok=True)
    records = [
        {"dataPath": f"{name}.bin", "nbytes": size, "md5sum": "0"}
        for name, size in shards.items()
    ]
    for name, size in shards.items():
        (folder / f"{name}.bin").write_bytes(bytes(size))
    index = folder / "tensor-cache.json"
    index.write_text(json.dumps({"records": records}))
    return index


def test_an_index_with_all_its_parts_has_no_fault(tmp_path: Path) -> None:
    assert fault(write_index(tmp_path, a=3, b=0)) == ""


def test_a_missing_part_is_a_fault(tmp_path: Path) -> None:
    index = write_index(tmp_path, a=3)
    (tmp_path / "a.bin").unlink()
    assert fault(index) == f"{tmp_path / 'a.bin'} is missing"


def test_a_part_of_another_size_is_a_fault(tmp_path: Path) -> None:
    index = write_index(tmp_path, a=3)
    (tmp_path / "a.bin").write_bytes(b"12")
    assert fault(index) == f"{tmp_path / 'a.bin'} has 2 bytes, expected 3"


def test_a_file_that_was_written_to_since_it_was_fetched_is_a_fault(
    tmp_path: Path,
) -> None:
    index = write_index(tmp_path, a=3)
    files = [
        LockedFile(path.name, path.stat().st_size, digest_file(path))
        for path in (index, tmp_path / "a.bin")
    ]
    verify(tmp_path, files)
    assert fault(index) == ""
    os.utime(tmp_path / "a.bin", (1, 1))
    assert fault(index) == f"{tmp_path / 'a.bin'} was written to since it was fetched"
    verify(tmp_path, files)
    assert fault(index) == ""


def verify(folder: Path, files: list[LockedFile]) -> None:
    verified = Verified(folder)
    assert verified.lacking(files) == []
    verified.write()


def test_a_missing_tokenizer_is_a_fault(tmp_path: Path) -> None:
    config = tmp_path / "mlc-chat-config.json"
    config.write_text('{"tokenizer_files": ["tokenizer.json"]}')
    assert fault(config) == f"{tmp_path / 'tokenizer.json'} is missing"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"records": [1]}'])
def test_an_unreadable_index_is_a_fault(tmp_path: Path, text: str) -> None:
    index = tmp_path / "tensor-cache.json"
    index.write_text(text)
    assert "tensor-cache.json" in fault(index)
    with pytest.raises(InputError):
        parts(index)


def test_other_files_have_no_parts(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"\x7fELF")
    assert parts(tmp_path / "lib.so") == []


def test_only_what_a_step_makes_came_with_its_target(tmp_path: Path) -> None:
    """A file beside a library that is called like one is somebody's own."""
    for name in ("one.so", "one.so.json", "tensor-cache-b16.json"):
        (tmp_path / name).write_text("")
    index = write_index(tmp_path, a=1)
    assert [each.path.name for each in all_of(tmp_path / "one.so")] == ["one.so"]
    names = [each.path.name for each in all_of(index)]
    assert names == [index.name, "a.bin", "tensor-cache-b16.json"]


def test_a_copy_that_is_shorter_than_the_original_differs(tmp_path: Path) -> None:
    original = write_index(tmp_path / "original", a=3)
    copy = write_index(tmp_path / "copy", a=3)
    assert differs(copy, original) == ""
    (tmp_path / "copy/a.bin").write_bytes(b"")
    assert differs(copy, original).endswith("has 0 bytes, expected 3")


def test_an_incomplete_original_says_nothing_of_its_copy(tmp_path: Path) -> None:
    original = write_index(tmp_path / "original", a=3)
    copy = write_index(tmp_path / "copy", a=4)
    (tmp_path / "original/a.bin").unlink()
    assert differs(copy, original) == ""


def test_leftovers_are_temporary_files_of_the_target_only(tmp_path: Path) -> None:
    names = [".m.so.abcd0123", ".m.so.json.abcd0123", ".m.so.abc", ".m.so.original"]
    for name in names:
        (tmp_path / name).write_text("")
    assert leftovers([tmp_path / "m.so"]) == [tmp_path / ".m.so.abcd0123"]


def test_leftovers_take_names_literally(tmp_path: Path) -> None:
    (tmp_path / ".[ab].so.abcdef01").write_text("")
    (tmp_path / ".a.so.abcdef01").write_text("")
    found = leftovers([tmp_path / "[ab].so"])
    assert found == [tmp_path / ".[ab].so.abcdef01"]


def test_shards_beside_an_index_belong_to_it(tmp_path: Path) -> None:
    index = write_index(tmp_path, a=1)
    (tmp_path / "params_shard_9.bin").write_text("")
    (tmp_path / "notes.txt").write_text("")
    found = {path.name for path in made_beside([index], [Path("/m/tokenizer.json")])}
    assert found == {
        ".partial",
        "a.bin",
        "params_shard_9.bin",
        "tensor-cache-b16.json",
        "tokenizer.json",
    }


def test_shards_are_not_of_the_step_that_makes_the_config(tmp_path: Path) -> None:
    (tmp_path / "params_shard_0.bin").write_text("")
    assert made_beside([tmp_path / "mlc-chat-config.json"]) == []


def test_what_a_step_copies_is_not_made_by_it(tmp_path: Path) -> None:
    index = write_index(tmp_path)
    found = made_beside([index], [tmp_path / "model.safetensors"])
    assert tmp_path / "model.safetensors" not in found


def test_a_folder_that_an_index_lists_is_none_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    config = tmp_path / "mlc-chat-config.json"
    config.write_text('{"tokenizer_files": ["notes"]}')
    assert made_beside([config]) == []


@pytest.mark.parametrize("path", ["../a.bin", "/a.bin", "b/a.bin", ".."])
def test_a_path_in_an_index_is_none_of_its_files(tmp_path: Path, path: str) -> None:
    config = tmp_path / "mlc-chat-config.json"
    config.write_text(json.dumps({"tokenizer_files": [path]}))
    assert made_beside([config], []) == []


def test_shards_without_a_hash_in_the_index_are_sources(tmp_path: Path) -> None:
    index = write_index(tmp_path, hashed=1)
    content = json.loads(index.read_text())
    content["records"].append({"dataPath": "bare.bin", "nbytes": 0})
    index.write_text(json.dumps(content))
    (tmp_path / "mlc-chat-config.json").write_text("{}")
    names = [path.name for path in model_files(tmp_path)]
    assert names == ["tensor-cache.json", "mlc-chat-config.json", "bare.bin"]


def test_an_index_of_weights_without_a_map_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="weight_map"):
        weight_files(tmp_path)


def test_weights_are_those_of_pytorch_where_there_are_no_others(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    assert weight_files(tmp_path) == [config, tmp_path / "model.safetensors"]
    (tmp_path / "pytorch_model.bin").touch()
    assert weight_files(tmp_path) == [config, tmp_path / "pytorch_model.bin"]
    (tmp_path / "model.safetensors").touch()
    assert weight_files(tmp_path) == [config, tmp_path / "model.safetensors"]
