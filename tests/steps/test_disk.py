"""What steps will add to the disk, known before any has run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlcx.signature.facts import Fact
from mlcx.spec import lock
from mlcx.spec.hub import Repository
from mlcx.spec.lock import FETCHED, PARTIAL, LockedFile, LockedModel
from mlcx.steps.disk import downloads, written
from mlcx.steps.requests import Request

MODEL = "model.safetensors"


def conversion(root: Path, scheme: str = "q4f16_1", **config: object) -> Request:
    """Return the conversion of a checkpoint of 16,000 bytes."""
    folder = root / "checkpoint"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / MODEL).write_bytes(bytes(16_000))
    sources = (folder / "config.json", folder / MODEL)
    target = root / "build/one/model/tensor-cache.json"
    options = ("--quantization", scheme)
    return Request("convert_weight", (target,), sources, options)


def test_a_dtype_that_is_none_counts_as_16_bits(tmp_path: Path) -> None:
    plain = written(conversion(tmp_path), {})
    assert written(conversion(tmp_path, torch_dtype=["float32"]), {}) == plain


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("q4f16_1", 4000),
        ("q3f16_0", 3000),
        ("q8f16_1", 8000),
        ("q0f16", 16_000),
        ("q0f32", 16_000),
        ("e4m3_e4m3_f16", 8000),
        ('{"name":"mine","base":"q4f16_1","layers":{}}', 4000),
        ("another", 0),
    ],
)
def test_a_conversion_writes_at_least_its_bits(
    tmp_path: Path, scheme: str, expected: int
) -> None:
    assert written(conversion(tmp_path, scheme), {}) == expected


def test_wide_weights_shrink_more(tmp_path: Path) -> None:
    assert written(conversion(tmp_path, torch_dtype="float32"), {}) == 2000


def test_what_an_interrupted_conversion_has_written_is_there(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    request.output.mkdir(parents=True)
    (request.output / "params_shard_0.bin").write_bytes(bytes(1500))
    assert written(request, {}) == 2500


def test_a_bundle_on_one_disk_adds_nothing(tmp_path: Path) -> None:
    index = conversion(tmp_path).targets[0]
    index.parent.mkdir(parents=True)
    record = {"dataPath": "params_shard_0.bin", "nbytes": 1500}
    index.write_text(json.dumps({"records": [record]}))
    index.with_name("params_shard_0.bin").write_bytes(bytes(1500))
    target = tmp_path / "dist/bundle/one/tensor-cache.json"
    assert written(Request("bundle", (target,), (index,)), {}) == 0


@pytest.fixture
def download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """Return what brings 16,000 bytes of float32 weights, of which nothing is here."""
    monkeypatch.setenv("MLC_LLM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    files = (
        LockedFile("config.json", 500, "a" * 64),
        LockedFile("model-1.safetensors", 9000, "b" * 64),
        LockedFile("model-2.safetensors", 7000, "c" * 64),
    )
    config = {"torch_dtype": "float32"}
    one = LockedModel(Repository("a", "b"), "d" * 40, "checkpoint", config, files)
    lock.write(tmp_path / "mlcx.lock.json", [one])
    weights = Fact.of("files", ((each.name, each.sha256) for each in one.weights))
    return Request(
        "fetch",
        (tmp_path / "home/a/b" / FETCHED,),
        (),
        ("--part", "weights"),
        (weights,),
        files=(("--lock", tmp_path / "mlcx.lock.json"),),
        subject="a/b",
    )


def test_a_download_brings_what_its_lock_file_says(download: Request) -> None:
    assert written(download, {}) == 16_000


def test_what_of_a_download_is_here_is_not_written_again(download: Request) -> None:
    partial = download.output / PARTIAL / ("b" * 64)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(4000))
    assert written(download, {}) == 12_000
    (download.output / "model-2.safetensors").write_bytes(bytes(7000))
    assert written(download, {}) == 5000


def test_what_the_hubs_own_library_has_is_linked_to(
    download: Request, tmp_path: Path
) -> None:
    snapshot = tmp_path / "hf/models--a--b/snapshots" / ("d" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model-1.safetensors").write_bytes(bytes(9000))
    assert written(download, {}) == 7000


def test_a_conversion_of_what_is_not_here_yet_is_known_too(
    download: Request, tmp_path: Path
) -> None:
    """The lock file has the bytes of the weights, and the config that says of what."""
    folder = download.output
    config = Request("fetch", (folder / "config.json",), (), files=download.files)
    config = replace(config, facts=download.facts, subject=download.subject)
    target = tmp_path / "build/one/model/tensor-cache.json"
    sources = (folder / "config.json", folder / FETCHED)
    options = ("--quantization", "q4f16_1")
    request = Request("convert_weight", (target,), sources, options)
    assert written(request, {}) == 0
    assert written(request, downloads([download])) == 4000
    assert written(request, downloads([download, config])) == 2000
