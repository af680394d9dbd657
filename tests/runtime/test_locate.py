from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcx.errors import InputError, UsageError
from mlcx.runtime.locate import Files, locate


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A package build's output without libraries."""
    bundle = tmp_path / "dist" / "bundle"
    directory = bundle / "tiny-q4f16_1"
    directory.mkdir(parents=True)
    (directory / "mlc-chat-config.json").write_text("{}")
    entries = [{"model_id": "tiny-q4f16_1", "model_lib": "tiny_cpu"}]
    (bundle / "mlc-app-config.json").write_text(json.dumps({"model_list": entries}))
    (tmp_path / "dist" / "lib").mkdir()
    return directory


def test_the_library_is_found_through_the_app_config(model: Path) -> None:
    library = model.parents[1] / "lib" / "tiny_cpu.so"
    library.touch()
    assert locate(model, None) == Files(model, library)


def test_the_library_is_found_from_inside_the_directory(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model.parents[1] / "lib" / "tiny_cpu.so").touch()
    monkeypatch.chdir(model)
    assert locate(Path(), None).library.name == "tiny_cpu.so"


def test_a_named_library_needs_no_app_config(model: Path) -> None:
    (model.parent / "mlc-app-config.json").unlink()
    library = model.parent / "mine.so"
    library.touch()
    assert locate(model, library).library == library


def test_a_library_that_was_not_built_is_named_with_its_place(model: Path) -> None:
    with pytest.raises(UsageError, match=r"names tiny_cpu.*lib/tiny_cpu\.so.*scons"):
        locate(model, None)


def test_without_an_app_config_the_way_to_a_library_is_shown(model: Path) -> None:
    (model.parent / "mlc-app-config.json").unlink()
    with pytest.raises(UsageError, match="--model-lib; mlcx compile"):
        locate(model, None)


def test_a_model_that_the_app_config_lacks_is_named(model: Path) -> None:
    renamed = model.rename(model.with_name("other"))
    with pytest.raises(UsageError, match=r"no model_id other.*has tiny-q4f16_1"):
        locate(renamed, None)


def test_a_named_library_must_exist(model: Path) -> None:
    with pytest.raises(InputError, match=r"none\.so: no such library"):
        locate(model, Path("none.so"))


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"a model directory with mlc-chat-config\.json"
    ):
        locate(tmp_path, None)
