"""``-o``: what cannot be written is refused as the user named it, before any work."""

from __future__ import annotations

import json
import os
import stat
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
BOTH = {**FILES, **FOLDERS}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder to be in, with a file and a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "to-device").symlink_to(os.devnull)
    return tmp_path


@pytest.mark.parametrize(
    ("verb", "output", "wrong"),
    [
        *((verb, "folder", "expected a file, found a folder") for verb in FILES),
        *((verb, "file", "expected a folder, found a file") for verb in FOLDERS),
        *((verb, "", "expected a path, found nothing") for verb in BOTH),
        ("normalize", "pipe", "expected a file, found a pipe"),
        ("judge-quality", "to-pipe", "expected a file, found a pipe"),
        ("compile", "to-device", "expected a file, found a device"),
        ("bundle", "pipe", "expected a folder, found a pipe"),
        ("fetch", "to-device/x", "to-device: expected a folder, found a device"),
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
    assert main([verb, *BOTH[verb], "-o", output]) == 2
    named = f"--output {output}" if output else "--output"
    assert capsys.readouterr().err == f"mlcx: {named}: {wrong}\n"
    assert sorted(there.rglob("*")) == before


def test_what_gets_in_the_way_later_is_named_too(there: Path) -> None:
    output = there / "library.so"
    message = rf"{output}: cannot be written: Is a directory"
    with pytest.raises(BuildError, match=message), replacing(output):
        output.mkdir()
    assert list(output.iterdir()) == []
    assert not [path for path in there.iterdir() if path.name.startswith(".")]


def test_no_pipe_is_replaced(there: Path) -> None:
    message = "pipe: cannot be written: expected a file, found a pipe"
    with pytest.raises(BuildError, match=message), replacing(there / "pipe"):
        raise AssertionError
    assert stat.S_ISFIFO((there / "pipe").stat().st_mode)


def test_a_link_is_replaced_and_not_what_it_leads_to(there: Path) -> None:
    tiny = str(Path(__file__).parents[1] / "tiny" / "llama.json")
    command = ["normalize", tiny, "--quantization", "q0f16", "-o"]
    others = there / "folder" / "file"
    others.write_text("somebody else's")
    for name in ("file", "nothing"):
        link = there / f"to-{name}"
        link.symlink_to(f"folder/{name}")
        assert main([*command, link.name]) == 0
        assert not link.is_symlink()
        assert json.loads(link.read_text())["model_type"] == "llama"
    assert others.read_text() == "somebody else's"
    assert list((there / "folder").iterdir()) == [others]


def test_a_link_has_the_suffix_that_was_typed(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "libm.so").symlink_to("libm.so.1")
    command = ["compile", "missing.json", "--quantization", "q0f16", "-o"]
    assert main([*command, "libm.so"]) == 2
    assert "missing.json" in (said := capsys.readouterr().err)
    assert "libm.so" not in said
