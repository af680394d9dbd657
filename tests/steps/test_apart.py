from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.errors import UsageError
from mlcx.spec.types import Plan, WeightsJob
from mlcx.steps import requests
from mlcx.steps.apart import apart, apart_from_models
from mlcx.steps.requests import Folders, Request


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "models/one"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def weights(checkpoint: Path, directory: Path) -> list[Request]:
    job = WeightsJob("one", checkpoint, "q4f16_1", "chatml", "one")
    return list(requests.weights(job, directory))


def test_a_model_directory_is_another_folder_than_its_checkpoint(
    checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(checkpoint)
    for directory in (checkpoint, tmp_path / "link", tmp_path / "models/../models/one"):
        with pytest.raises(UsageError, match=r"is the folder of config\.json, which"):
            apart(weights(checkpoint, directory))
    beside = weights(checkpoint, checkpoint / "made")
    assert apart(beside) == beside


def test_a_file_is_not_made_of_itself(tmp_path: Path) -> None:
    library = tmp_path / "lib/one.so"
    library.parent.mkdir()
    library.write_text("a library")
    (tmp_path / "dist").symlink_to(tmp_path)
    with pytest.raises(UsageError, match=r"one\.so itself, which prebuilt reads"):
        apart([Request("prebuilt", (tmp_path / "dist/lib/one.so",), (library,))])
    other = Request("prebuilt", (tmp_path / "lib/two.so",), (library,))
    assert apart([other]) == [other]


def test_nothing_is_built_among_the_files_of_a_model(
    checkpoint: Path, tmp_path: Path
) -> None:
    job = WeightsJob("one", checkpoint, "q4f16_1", "chatml", "one")
    plan = Plan(tmp_path / "spec.json", "package", (job,), (), (), ())
    (tmp_path / "link").symlink_to(checkpoint)
    dist, build = checkpoint / "dist", checkpoint / "build"
    apart_from_models(plan, Folders(dist, build))
    for folders in (Folders(tmp_path / "link", build), Folders(dist, checkpoint)):
        with pytest.raises(UsageError, match="is the folder of a model, which the bu"):
            apart_from_models(plan, folders)
