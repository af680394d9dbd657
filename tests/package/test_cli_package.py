from __future__ import annotations

import json
from pathlib import Path

import one_layer
import pytest

from mlcx.__main__ import main


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with a checkpoint."""
    monkeypatch.chdir(tmp_path)
    one_layer.write(tmp_path / "layer")
    return tmp_path


def write(device: str, model: str) -> None:
    entry = {"model": model, "model_id": "one", "estimated_vram_bytes": 1}
    made = {"quantization": "q4f16_1", "conv_template": "chatml", "bundle_weight": True}
    spec = {"device": device, "model_list": [{**entry, **made}]}
    Path("app.json").write_text(json.dumps(spec))


@pytest.mark.parametrize("device", ["iphone", "macabi", "android", "cpu"])
def test_an_app_config_has_no_path_of_this_machine(app: Path, device: str) -> None:
    write(device, str(app / "layer"))
    assert main(["app_config", "app.json", "-o", "bundle/mlc-app-config.json"]) == 0
    text = Path("bundle/mlc-app-config.json").read_text()
    assert json.loads(text)["model_list"][0]["model_id"] == "one"
    assert "/" not in text
