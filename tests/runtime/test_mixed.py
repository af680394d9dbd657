"""A mixed quantization from the recipe to logits, next to MLC's bytes and numpy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcx.__main__ import main
from mlcx.quant.mixed import mixed

from .conftest import Build
from .numpy_llama import logits
from .test_schemes import TOKENS, TOLERANCES, meant

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "llama_gqa"
RECIPE = {
    "base": "q4f16_1",
    "layers": {
        "*.down_proj": "q0f16",
        "layers.0.*": "q8f16_1",
        "layers.1.self_attn.qkv_proj": "q3f16_0",
        "lm_head": "q4f16_2",
    },
}
FUSED = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv_proj"),
    **dict.fromkeys(("gate_proj", "up_proj"), "gate_up_proj"),
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "some-of-each.json"
    file.write_text(json.dumps(RECIPE))
    return file


def test_logits_follow_numpy_with_the_same_weights(
    recipe: Path,
    build: Build,
    checkpoint: Path,
    tiny_config: dict[str, Any],
    tiny_weights: dict[str, Any],
    tmp_path: Path,
) -> None:
    files = build(checkpoint, str(recipe))
    command = ["logits", str(files.directory), "--model-lib", str(files.library)]
    command += ["--tokens", ",".join(map(str, TOKENS)), "--prefill", "7"]
    assert main([*command, "-o", str(tmp_path / "found.npz")]) == 0
    with np.load(tmp_path / "found.npz") as arrays:
        found = arrays["logits"]
    scheme = mixed("some-of-each", RECIPE)
    stored = {}
    for name, weight in tiny_weights.items():
        *path, module, weight_name = ("", *name.split("."))
        fused = ".".join([*path, FUSED.get(module, module), weight_name])
        stored[name] = meant(fused.lstrip("."), weight, scheme)
    expected = logits(tiny_config, stored, TOKENS)
    tolerance = TOLERANCES[scheme.model_dtype]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_the_model_directory_says_what_its_weights_are(
    recipe: Path, build: Build, checkpoint: Path, tmp_path: Path
) -> None:
    files = build(checkpoint, str(recipe))
    config = json.loads((files.directory / "mlc-chat-config.json").read_text())
    assert config["quantization"] == "some-of-each"
    assert config["quantization_recipe"] == RECIPE
    names = ("given", "renamed")
    for name, extra in zip(names, ([], ["--quantization", inline()]), strict=True):
        out = tmp_path / f"{name}.json"
        assert main(["normalize", str(files.directory), *extra, "-o", str(out)]) == 0
    given, renamed = ((tmp_path / f"{name}.json").read_bytes() for name in names)
    assert given == renamed


def inline() -> str:
    return json.dumps({"name": "another-name", **RECIPE})


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden data")
def test_each_layer_is_stored_as_mlc_stores_it_in_its_scheme(tmp_path: Path) -> None:
    layers = {"*.down_proj": "q0f16", "layers.1.*": "q3f16_0", "lm_head": "q4f16_2"}
    text = json.dumps({"name": "m", "base": "q4f16_1", "layers": layers})
    command = ["convert_weight", str(GOLDEN / "hf"), "--quantization", text]
    assert main([*command, "-o", str(tmp_path)]) == 0
    schemes = {}
    for name, data in stored(tmp_path).items():
        scheme = "q4f16_1"
        if "down_proj" in name or "lm_head" in name:
            scheme = "q0f16"
        if "layers.1." in name:
            scheme = "q3f16_0"
        schemes[name] = scheme
        assert hashlib.sha256(data).hexdigest() == sums(scheme)[name], name
    expected = sums("q4f16_1") | sums("q3f16_0") | sums("q0f16")
    assert schemes.keys() < expected.keys()
    assert {*schemes.values()} == {"q4f16_1", "q0f16", "q3f16_0"}


def sums(scheme: str) -> dict[str, str]:
    """Return the digest of each parameter that MLC LLM stores."""
    manifest = json.loads((GOLDEN / f"{scheme}.manifest.json").read_text())
    return {each["name"]: each["sha256"] for each in manifest["params"]}


def stored(folder: Path) -> dict[str, bytes]:
    index = json.loads((folder / "tensor-cache.json").read_text())
    return {
        record["name"]: (folder / shard["dataPath"]).read_bytes()[
            record["byteOffset"] : record["byteOffset"] + record["nbytes"]
        ]
        for shard in index["records"]
        for record in shard["records"]
    }


@pytest.mark.parametrize("verb", ["convert_weight", "gen_config", "normalize"])
def test_a_pattern_that_matches_nothing_stops_every_verb_at_once(
    verb: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = {"*.dwn_proj": "q0f16"}
    text = json.dumps({"name": "m", "base": "q4f16_1", "layers": layers})
    output = tmp_path / "out"
    command = [verb, str(checkpoint), "--quantization", text, "-o", str(output)]
    command += ["--conv-template", "LM"] if verb == "gen_config" else []
    assert main(command) == 2
    assert not output.exists()
    assert capsys.readouterr().err == (
        "mlcx: quantization recipe 'm': '*.dwn_proj' matches no layer of this model; "
        "near are 'down_proj', 'o_proj', 'qkv_proj'\n"
    )
