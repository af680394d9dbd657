"""What docs/hub.md shows can be typed as it stands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import one_layer
import pytest
from hub import StandIn, folder_files

from mlcx.__main__ import main
from mlcx.errors import InputError
from mlcx.spec import load
from mlcx.spec.hub import DownloadPolicy

from .conftest import mlc

PAGE = (Path(__file__).parents[2] / "docs" / "hub.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for line in re.findall(r"^mlcx .*", PAGE, re.MULTILINE)
]
LONG = {"compile", "package"}


@pytest.fixture
def spec(hub: StandIn, tmp_path: Path) -> Path:
    """The page's spec, whose models are on the hub."""
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    checkpoint, converted = re.findall(r"HF://([^\"]+)\",\n|HF://([^\"]+)\"", block)
    layer = folder_files(one_layer.write(tmp_path / "layer"))
    hub.add("".join(checkpoint), {**layer, "tokenizer_config.json": b"{}"})
    hub.add("".join(converted), mlc())
    file = tmp_path / "mlc-package-config.json"
    file.write_text(block)
    return file


def test_the_commands_do_what_they_say(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in COMMANDS:
        if words[0] not in LONG:
            assert main(words) == 0, capsys.readouterr().err
    assert (tmp_path / "checkpoint/model.safetensors").is_file()
    assert (tmp_path / "model/params_shard_0.bin").is_file()
    plan = load(spec)
    assert len(plan.libraries) == 2
    assert [bool(row.model_url) for row in plan.app] == [False, True]
    assert not [row for row in plan.weights if row.model_id != "SmolLM2-135M-q4f16_1"]


def test_what_an_app_would_not_find_must_be_in_its_bundle(
    hub: StandIn, tmp_path: Path
) -> None:
    files = mlc()
    files["ndarray-cache.json"] = files.pop("tensor-cache.json")
    hub.add("user/old", files)
    later = hub.add("user/mlc", mlc())
    spec = tmp_path / "mlc-package-config.json"
    entry = {"model": "HF://user/old", "model_id": "old"}
    spec.write_text(json.dumps({"device": "cpu", "model_list": [entry]}))
    assert main(["lock"]) == 0
    with pytest.raises(InputError, match=r"is missing: .* before 2025"):
        load(spec)
    other = {"model": f"HF://user/mlc@{later}", "model_id": "b"}
    entries = [{**each, "bundle_weight": True} for each in (entry, other)]
    for device, path, url in (("cpu", "old", None), ("android", None, "")):
        spec.write_text(json.dumps({"device": device, "model_list": entries}))
        assert main(["lock"]) == 0
        row, _ = load(spec).app
        assert (row.model_path, row.model_url) == (path, url)
    other["bundle_weight"] = False
    spec.write_text(json.dumps({"device": "cpu", "model_list": [other]}))
    with pytest.raises(InputError, match="the branch main and no other revision"):
        load(spec)


def test_the_page_names_every_policy_and_verb() -> None:
    assert not {name for name in DownloadPolicy.__members__ if f"`{name}`" not in PAGE}
    assert {words[0] for words in COMMANDS} >= {"lock", "fetch", *LONG}
