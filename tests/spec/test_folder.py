"""What a model's folder says of itself."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mlcx.artifact import read_json
from mlcx.errors import InputError
from mlcx.spec.folder import (
    WEIGHTS,
    ModelFolder,
    Place,
    is_file,
    is_folder,
    kind_of,
    lacks,
    look_into,
)
from mlcx.steps.files import text_files
from mlcx.weights.checkpoint import find


def test_a_folder_is_known_by_its_config(here: Path) -> None:
    assert kind_of(here / "checkpoint") == "checkpoint"
    assert kind_of(here / "mlc") == "mlc"
    assert kind_of(here / "nothing") is None
    assert kind_of(here / "missing") is None
    assert kind_of(here / "checkpoint" / "config.json") is None


def test_with_both_configs_it_is_an_mlc_model_directory(here: Path) -> None:
    (here / "mlc" / "config.json").write_text("{}")
    assert kind_of(here / "mlc") == "mlc"


def test_a_checkpoint_has_weights_where_a_conversion_looks_for_them(here: Path) -> None:
    for name in WEIGHTS["checkpoint"]:
        folder = here / name.replace(".", "-")
        folder.mkdir()
        assert lacks(Place(folder, "checkpoint")).startswith(f"{folder} has no model.")
        (folder / name).touch()
        assert lacks(Place(folder, "checkpoint")) == ""
        assert find(folder) == folder / name


def test_what_is_called_like_a_file_of_a_model_is_one(here: Path) -> None:
    folder = here / "checkpoint"
    (folder / "notes").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "dangling.json").symlink_to("nothing")
    (folder / "linked.json").symlink_to("config.json")
    look_into(Place(folder, "checkpoint"))
    os.mkfifo(folder / "tokenizer.json")  # which would never end, if it were read
    (folder / "vocab.txt").mkdir()
    (folder / "weights.bin").symlink_to(os.devnull)
    with pytest.raises(InputError) as caught:
        look_into(Place(folder, "checkpoint"))
    assert [str(each).removeprefix(f"{folder}/") for each in caught.value.problems] == [
        "tokenizer.json: expected a file, found a pipe or a device",
        "vocab.txt: expected a file, found a folder",
        "weights.bin: expected a file, found a pipe or a device",
    ]
    with pytest.raises(InputError):
        text_files(folder)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_what_cannot_be_looked_at_is_nothing(here: Path, name: str) -> None:
    assert not is_file(here / name)
    assert not is_folder(here / name)


def test_all_that_is_wrong_with_a_config_is_said_at_once(here: Path) -> None:
    path = here / "mlc" / "mlc-chat-config.json"
    config = json.loads(path.read_text()) | {"hidden_size": -1, "quantization": None}
    path.write_text(json.dumps(config))
    with pytest.raises(InputError) as caught:
        look_into(Place(here / "mlc", "mlc"))
    first, second = caught.value.problems
    assert (first.file, second.file) == (str(path), str(path))
    assert first.message.startswith("'hidden_size': expected a whole number from 1")
    assert second.message.startswith('expected "quantization" to name the scheme')


def test_a_model_directory_names_its_scheme(here: Path) -> None:
    place = Place(here / "mlc", "mlc")
    found = look_into(place)
    assert found == ModelFolder(
        "mlc", "q4f16_1", place, read_json(here / "mlc" / "mlc-chat-config.json")
    )
    assert not found.has_window


@pytest.mark.parametrize(
    ("config", "has_window"),
    [
        ({}, False),
        ({"sliding_window": None}, False),
        ({"sliding_window": 64}, True),
        ({"sliding_window_size": -1}, False),
        ({"sliding_window_size": 64}, True),
        ({"model_config": {"sliding_window_size": 64}}, True),
        (
            {"sliding_window_size": -1, "model_config": {"sliding_window_size": 64}},
            False,
        ),
    ],
)
def test_a_window_is_found(
    here: Path, config: dict[str, Any], has_window: bool
) -> None:
    path = here / "checkpoint" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    assert look_into(Place(here / "checkpoint", "checkpoint")).has_window is has_window


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{\n,", ":2:1: not JSON: "),
        (b"[]", ": expected a JSON object, found list"),
        (b'"\xff"', ": not JSON: not UTF-8 text"),
        (b"{}", ": model_type: expected one of "),
        (b"[" * 100_000, ": lists are nested too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", ": a number has too many digits"),
    ],
)
def test_a_broken_config_is_named(here: Path, data: bytes, message: str) -> None:
    path = here / "mlc" / "mlc-chat-config.json"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        look_into(Place(here / "mlc", "mlc"))
    assert str(caught.value).startswith(f"{path}{message}")
