"""A package of two models of the hub, built by the real verbs, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub import StandIn, folder_files, serving

from .project import REPOSITORY, write_json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SCRIPT = """
DefaultEnvironment(tools=[])
env = Environment(tools=["mlc"])
env.MLCCommandLine("mlc-package-config.json")
"""
MADE = {"quantization": "q4f16_1", "conv_template": "chatml", "bundle_weight": True}
READY = {"bundle_weight": True, "estimated_vram_bytes": 10_000_000}
TALE = "Tell me a story about a fox and a lost kite."


class App:
    """An app's repository, whose models are ``user/raw`` and ``user/ready``."""

    def __init__(self, root: Path, hub: StandIn, **environ: str) -> None:
        self.root = root
        self._environ = {
            **os.environ,
            "MLC_LLM_HOME": str(root.with_name("home")),
            "HF_HOME": str(root.with_name("hf")),
            "HF_ENDPOINT": hub.url,
            "CI": "true",
            "MLCX_CACHE_DIR": str(root.with_name("cache")),
            **environ,
        }

    def run(self, module: str, *words: str, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=self.root,
            env={**self._environ, **environ},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, **environ: str) -> list[str]:
        """Build, and return the verbs that ran, sorted."""
        out = self.run("SCons", "-j2", "-Q", **environ)
        return sorted(
            re.findall(r"^([a-z_]+) (?:dist|build|HF://).*\(.*\)$", out, re.M)
        )

    def tell(self, *words: str, **environ: str) -> str:
        common = ("--prompt", TALE, "--greedy", "--max-tokens", "40")
        return self.run("mlcx", "generate", *words, *common, **environ)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory):
    raw = folder_files(REPOSITORY / "specs/sample-model")
    made = tmp_path_factory.mktemp("ready")
    for verb in (["gen_config", "--conv-template", "chatml"], ["convert_weight"]):
        command = [sys.executable, "-m", "mlcx", *verb, "--quantization", "q4f16_1"]
        sample = str(REPOSITORY / "specs/sample-model")
        subprocess.run([*command, "-o", str(made), sample], check=True)
    # As MLC's own repositories of 2024 have it.
    (made / "tensor-cache.json").rename(made / "ndarray-cache.json")
    with serving() as stand_in:
        stand_in.add("user/raw", raw)
        stand_in.add("user/ready", folder_files(made))
        yield stand_in


def test_an_app_of_two_models_of_the_hub(
    hub: StandIn, tmp_path: Path, sources: Path
) -> None:
    root = tmp_path / "app"
    root.mkdir()
    shutil.copytree(REPOSITORY / "site_scons", root / "site_scons")
    (root / "SConstruct").write_text(SCRIPT)
    sizes = {"overrides": {"context_window_size": 512, "max_batch_size": 2}}
    raw = {"model": "HF://user/raw", "model_id": "raw", **MADE, **sizes}
    page = "https://huggingface.co/user/ready/tree/main"
    ready = {"model": page, "model_id": "ready", **READY}
    ready["overrides"] = {**sizes["overrides"], "context_window_size": 256}
    spec = {"device": "cpu", "model_list": [raw, ready]}
    write_json(root / "mlc-package-config.json", spec)
    app = App(root, hub, PYTHONPATH=str(sources))

    said = app.run("mlcx", "lock")
    assert said.count("mlcx.lock.json: HF://user/") == 2
    first = app.build()
    each = ["fetch", "fetch", "bundle", "normalize", "compile"]
    assert first == sorted([*each, *each, "app_config", "gen_config", "convert_weight"])
    bundle = root / "dist/bundle"
    assert same_weights(bundle / "raw", bundle / "ready")
    gone = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    hub.log.clear()
    assert app.build(**gone) == []
    told = app.tell("dist/bundle/raw")
    assert "fox" in told
    assert app.tell("dist/bundle/ready") == told

    # The sampling of one changes: nothing is converted or compiled again.
    files = hub.repositories["user/raw"]
    hub.add("user/raw", {**files, "generation_config.json": b'{"temperature": 0.1}'})
    assert app.build() == [], "it is pinned"
    app.run("mlcx", "lock", "mlc-package-config.json", "--update", "user/raw")
    assert app.build() == ["bundle", "fetch", "fetch", "gen_config", "normalize"]
    chat = json.loads((bundle / "raw/mlc-chat-config.json").read_text())
    assert chat["temperature"] == 0.1

    # All is made anew of what is here, with no hub in reach: what can be is kept.
    for name in ("dist", "build"):
        shutil.rmtree(root / name)
    (root / ".sconsign.dblite").unlink()
    hub.log.clear()
    offline = {**gone, "HF_HUB_OFFLINE": "1"}
    again = app.build(**offline)
    assert set(again) <= set(first)
    assert "fetch" not in again, "all is held, and known to be right"
    assert app.tell("dist/bundle/raw", **offline) == told
    assert not hub.log
    library = ("--model-lib", "dist/lib/ready.so")
    assert app.tell("HF://user/ready", *library) == told  # the first time it is pinned
    hub.log.clear()
    assert app.tell(f"{gone['HF_ENDPOINT']}/user/ready", *library, **offline) == told
    assert app.tell("HF://user/ready", *library, **offline) == told
    assert not hub.log


def same_weights(one: Path, other: Path) -> bool:
    shards = [sorted(each.glob("params_shard_*")) for each in (one, other)]
    assert all(shards)
    data = [b"".join(path.read_bytes() for path in each) for each in shards]
    return data[0] == data[1]
