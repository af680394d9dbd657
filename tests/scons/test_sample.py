"""Whole builds of a tiny model with the real verbs: the library is really compiled."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from .project import REPOSITORY, Project, wait_for, write_json

SCRIPT = """
DefaultEnvironment(tools=[])
env = Environment(tools=["mlc"])
env.MLCCommandLine("mlc-package-config.json")
"""
CONFIG = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "vocab_size": 1280,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float16",
}
LAYER = {
    "input_layernorm": (64,),
    "post_attention_layernorm": (64,),
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (32, 64),
    "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (128, 64),
    "mlp.up_proj": (128, 64),
    "mlp.down_proj": (64, 128),
}


class RealProject(Project):
    """One checkpoint, "raw", and one model directory, "ready", with a library each."""

    def create(self) -> None:
        self.root.mkdir()
        self.control.mkdir()
        shutil.copytree(REPOSITORY / "site_scons", self.root / "site_scons")
        (self.root / "SConstruct").write_text(SCRIPT)
        raw = self.root / "models/raw"
        write_checkpoint(raw)
        scheme = ("--quantization", "q4f16_1")
        ready = str(self.root / "models/ready")
        self.mlcx("gen_config", raw, *scheme, "--conv-template", "chatml", "-o", ready)
        self.mlcx("convert_weight", raw, *scheme, "-o", ready)
        entry = {"bundle_weight": True, "overrides": {"max_batch_size": 2}}
        made = {"quantization": "q4f16_1", "conv_template": "chatml"}
        entries = [
            {"model": "models/raw", "model_id": "raw", **entry, **made},
            {"model": "models/ready", "model_id": "ready", **entry},
        ]
        spec = {"device": "cpu", "model_list": entries}
        write_json(self.root / "mlc-package-config.json", spec)

    def mlcx(self, *args: object) -> None:
        subprocess.run(
            [sys.executable, "-m", "mlcx", *map(str, args)],
            check=True,
            cwd=self.root,
            env={**os.environ, **self.environ},
        )

    def built_now(self, *args: str) -> set[str]:
        """Build, and return the targets that were made."""
        done = self.scons(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = self.report().values()
        return {str(row["target"]) for row in rows if row["status"] == "built"}

    def made(self) -> dict[str, bytes]:
        found = self.files()
        return {name: found[name] for name in found if "valid-specs" not in name}


def write_checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "generation_config.json", {"temperature": 0.5})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(REPOSITORY / "specs/sample-model" / name, folder / name)
    shapes = {"model.embed_tokens.weight": (1280, 64), "model.norm.weight": (64,)}
    for name, shape in LAYER.items():
        shapes[f"model.layers.0.{name}.weight"] = shape
    random = np.random.default_rng(7)
    weights = {
        name: random.standard_normal(shape).astype(np.float16)
        for name, shape in shapes.items()
    }
    save_file(weights, folder / "model.safetensors")


@pytest.fixture(scope="module")
def _compiled(
    tmp_path_factory: pytest.TempPathFactory, sources: Path
) -> Iterator[RealProject]:
    folder = tmp_path_factory.mktemp("sample")
    made = RealProject(folder / "project", folder / "control", sources)
    try:
        made.create()
        assert "dist/lib/raw.so" in made.built_now("-j2")
        yield made
    finally:
        made.end()


@pytest.fixture
def sample(tmp_path: Path, _compiled: RealProject) -> Iterator[RealProject]:
    """Return a copy that is up to date."""
    made = RealProject(tmp_path / "project", tmp_path / "control", _compiled.sources)
    shutil.copytree(_compiled.root, made.root)
    yield made
    made.end()


def test_the_bundle_is_the_model_directory(sample: RealProject) -> None:
    ready = sample.root / "models/ready"
    bundle = sample.root / "dist/bundle/ready"
    names = sorted(path.name for path in bundle.iterdir())
    assert names == sorted(path.name for path in ready.iterdir())
    for name in names:
        assert (bundle / name).read_bytes() == (ready / name).read_bytes()
    assert (sample.root / "dist/lib/ready.so").read_bytes()[:4] == b"\x7fELF"


def test_both_kinds_of_model_compile_to_the_same_library(sample: RealProject) -> None:
    libraries = [sample.root / f"dist/lib/{name}.so" for name in ("raw", "ready")]
    configs = sorted(sample.root.rglob("compile-config.json"))
    assert configs[0].read_bytes() == configs[1].read_bytes()
    assert libraries[0].read_bytes() == libraries[1].read_bytes()


def test_a_second_build_makes_nothing(sample: RealProject) -> None:
    assert sample.built_now() == set()


def test_touching_makes_nothing(sample: RealProject) -> None:
    for path in sample.root.rglob("*"):
        os.utime(path)
    assert sample.built_now() == set()


def test_a_new_temperature_compiles_nothing(sample: RealProject) -> None:
    sample.edit("models/ready/mlc-chat-config.json", temperature=0.123)
    built = sample.built_now()
    assert {Path(name).name for name in built} == {
        "compile-config.json",
        "tensor-cache.json",
    }
    assert "dist/bundle/ready/tensor-cache.json" in built
    chat = sample.root / "dist/bundle/ready/mlc-chat-config.json"
    assert json.loads(chat.read_text())["temperature"] == 0.123


def test_a_new_context_window_compiles_its_library_only(sample: RealProject) -> None:
    before = (sample.root / "dist/lib/ready.so").read_bytes()
    sample.edit("models/ready/mlc-chat-config.json", context_window_size=64)
    libraries = {name for name in sample.built_now() if name.endswith(".so")}
    assert libraries == {"dist/lib/ready.so"}
    assert (sample.root / "dist/lib/ready.so").read_bytes() != before


def kill(process: subprocess.Popen[str]) -> None:
    """Kill SCons and its steps at once."""
    listed = Path(f"/proc/{process.pid}/task").glob("*/children")
    steps = [int(step) for path in listed for step in path.read_text().split()]
    os.kill(process.pid, signal.SIGKILL)
    for step in steps:
        with contextlib.suppress(ProcessLookupError):  # it ends by itself, too
            os.killpg(step, signal.SIGKILL)
    process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the steps in /proc")
@pytest.mark.parametrize(
    ("target", "log"),
    [
        pytest.param("dist/lib/raw.so", "dist/lib/raw.so", marks=pytest.mark.slow),
        ("build/raw/model", "build/raw/model/tensor-cache.json"),
        ("dist/bundle/ready", "dist/bundle/ready/tensor-cache.json"),
    ],
)
def test_a_killed_build_goes_on_to_what_a_clean_one_makes(
    sample: RealProject, target: str, log: str
) -> None:
    clean = sample.made()
    assert sample.scons("-c", target).returncode == 0
    process = sample.start()
    wait_for((sample.root / f"build/log/{log}.log").exists)
    if target.endswith(".so"):  # loading tvm takes a while: get into the compilation
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5)
    kill(process)
    assert sample.scons().returncode == 0
    assert sample.made() == clean
