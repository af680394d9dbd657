"""``-o``: what cannot be written is refused as the user named it, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.artifact import replacing
from mlcx.errors import BuildError

FILES = {
    "compile": ["model"],
    "normalize": ["model"],
    "logits": ["model", "--tokens", "1"],
    "app_config": ["spec.json"],
    "prebuilt": ["library"],
    "static_lib": ["library"],
    "web_runtime": [],
    "reference-logits": ["model"],
    "measure-quality": ["model", "--reference", "r.json"],
    "judge-quality": ["figures.json"],
    "verify-quality": ["model"],
}
FOLDERS = {
    "convert_weight": ["model", "--quantization", "q0f16"],
    "gen_config": ["model", "--quantization", "q0f16", "--conv-template", "LM"],
    "bundle": ["model"],
    "fetch": ["user/model"],
    "prepare_libs": ["library", "--script", "prepare_libs.sh", "--work", "work"],
}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder to be in, with a file and a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("verb", "output", "wrong"),
    [
        *((verb, "folder", "expected a file, found a folder") for verb in FILES),
        *((verb, "file", "expected a folder, found a file") for verb in FOLDERS),
        ("compile", "file/x.so", "file: expected a folder, found a file"),
        ("convert_weight", "file/x/y", "file: expected a folder, found a file"),
    ],
)
def test_what_is_in_the_way_is_named(
    there: Path,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    output: str,
    wrong: str,
) -> None:
    before = sorted(there.rglob("*"))
    assert main([verb, *{**FILES, **FOLDERS}[verb], "-o", output]) == 2
    assert capsys.readouterr().err == f"mlcx: --output {output}: {wrong}\n"
    assert sorted(there.rglob("*")) == before


def test_what_gets_in_the_way_later_is_named_too(there: Path) -> None:
    output = there / "library.so"
    message = rf"{output}: cannot be written: Is a directory"
    with pytest.raises(BuildError, match=message), replacing(output):
        output.mkdir()
    assert list(output.iterdir()) == []
    assert not [path for path in there.iterdir() if path.name.startswith(".")]
