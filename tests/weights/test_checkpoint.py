"""Finding a checkpoint, and putting together one of several files."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlcx.artifact import CHECKPOINTS
from mlcx.errors import InputError
from mlcx.weights.checkpoint import find, read_checkpoint

INDEX, SINGLE = CHECKPOINTS["huggingface-safetensor"]

ONE = np.ones(1, np.float16)


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    save_file({"a": ONE, "c": ONE, "z": ONE}, tmp_path / "1.safetensors")
    save_file({"b": ONE}, tmp_path / "2.safetensors")
    weight_map = {"c": "1.safetensors", "b": "2.safetensors", "a": "1.safetensors"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return tmp_path


def test_an_index_orders_tensors_and_what_it_leaves_out_comes_last(
    sharded: Path,
) -> None:
    assert [tensor.name for tensor in read_checkpoint(sharded)] == ["c", "a", "z", "b"]


def test_of_a_tensor_in_two_files_the_one_that_the_index_names_counts(
    sharded: Path,
) -> None:
    save_file({"b": ONE, "a": ONE, "c": 2 * ONE, "y": ONE}, sharded / "2.safetensors")
    found = [(each.name, each.file.name) for each in read_checkpoint(sharded)]
    first = [(name, "1.safetensors") for name in "caz"]
    assert found == [*first, ("b", "2.safetensors"), ("y", "2.safetensors")]


def test_a_tensor_in_two_files_that_the_index_does_not_name_is_refused(
    sharded: Path,
) -> None:
    save_file({"b": ONE, "z": 2 * ONE}, sharded / "2.safetensors")
    message = r"2\.safetensors: holds z, as 1\.safetensors does: name in the index"
    with pytest.raises(InputError, match=message):
        read_checkpoint(sharded)


def test_the_index_is_taken_before_a_single_file(sharded: Path) -> None:
    save_file({"a": ONE}, sharded / SINGLE)
    assert find(sharded) == sharded / INDEX
    assert find(sharded / SINGLE) == sharded / SINGLE
    assert len(read_checkpoint(sharded / SINGLE)) == 1


def test_other_formats_are_found_when_asked_for_or_alone(sharded: Path) -> None:
    torch = sharded / "pytorch_model.bin"
    torch.touch()
    assert find(sharded) == sharded / INDEX
    assert find(sharded, "huggingface-torch") == torch
    (sharded / INDEX).unlink()
    assert find(sharded) == torch
    with pytest.raises(InputError, match=r"expected one of model.* found none"):
        find(sharded, "huggingface-safetensor")


def test_every_damaged_file_is_reported_at_once(sharded: Path) -> None:
    (sharded / "1.safetensors").write_bytes(b"short")
    (sharded / "2.safetensors").unlink()
    with pytest.raises(InputError) as caught:
        read_checkpoint(sharded)
    first, second = caught.value.problems
    assert first.file.endswith("1.safetensors")
    assert "cut short" in first.message
    assert second.file.endswith("2.safetensors")
    assert "No such file" in second.message


def test_a_file_without_a_tensor_of_the_index_is_reported(sharded: Path) -> None:
    save_file({"other": ONE}, sharded / "2.safetensors")
    with pytest.raises(InputError, match=r"2\.safetensors: lacks .* names: b"):
        read_checkpoint(sharded)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "not JSON"),
        ("{}", "expected an object 'weight_map'"),
        ('{"weight_map": {}}', "expected an object 'weight_map'"),
        ('{"weight_map": {"a": 1}}', "expected a file's name for a, found 1"),
        ('{"weight_map": {"a": "../x"}}', "expected a file's name for a"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, index: str, message: str) -> None:
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, "found none$"),
        ("pytorch_model-00001-of-00002.bin", "the index is missing"),
        ("model-00001-of-00002.safetensors", "the index is missing"),
    ],
)
def test_a_folder_without_a_checkpoint_says_what_is_wrong(
    tmp_path: Path, file: str | None, message: str
) -> None:
    if file:
        (tmp_path / file).touch()
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", INDEX])
def test_a_link_to_nothing_is_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("../blobs/gone")
    with pytest.raises(InputError, match=rf"{name}: is a link to what is not there"):
        read_checkpoint(tmp_path)


def test_no_folder_at_all_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing"):
        read_checkpoint(tmp_path / "missing")
