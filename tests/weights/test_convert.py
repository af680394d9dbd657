"""Converting whole checkpoints."""

import json
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from mlcx.errors import BuildError, InputError
from mlcx.quant.plain import dtype_named
from mlcx.quant.scheme import scheme

from .tiny_llama import CONFIG, Recorder, run, save, stored, tensors, written

SCHEMES = ("q0f16", "q0f32", "q4f16_1", "q4f32_1", "q3f16_0", "q4bf16_0", "q4bf16_1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path / "source", tensors())


@pytest.fixture(params=SCHEMES)
def quantization(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_joined_tensors_lie_one_after_the_other(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "out", "q0f16")
    content, found = tensors(), stored(tmp_path / "out")
    prefix = "model.layers.1.self_attn."
    parts = [content[f"{prefix}{part}_proj.weight"].tobytes() for part in "qkv"]
    assert found[f"{prefix}qkv_proj.weight"] == b"".join(parts)
    assert found["lm_head.weight"] == content["lm_head.weight"].tobytes()
    assert result.parameters == len(found) == 15
    assert result.nbytes == sum(map(len, found.values()))
    assert result.bits_per_parameter == 16


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_other_dtypes_are_cast_before_they_are_quantized(
    tmp_path: Path, dtype: str, quantization: str
) -> None:
    content = tensors(dtype=dtype)
    model_dtype = dtype_named(scheme(quantization).model_dtype)
    cast = {name: value.astype(model_dtype) for name, value in content.items()}
    run(save(tmp_path / "a", content), tmp_path / "out_a", quantization)
    run(save(tmp_path / "b", cast), tmp_path / "out_b", quantization)
    assert stored(tmp_path / "out_a") == stored(tmp_path / "out_b")


def test_float32_weights_are_stored_as_bfloat16(tmp_path: Path) -> None:
    content = tensors(dtype="float32")
    run(save(tmp_path / "a", content), tmp_path / "out", "q0f32")
    expected = content["lm_head.weight"].astype(ml_dtypes.bfloat16)
    assert stored(tmp_path / "out")["lm_head.weight"] == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_float32_weights_can_be_stored_as_they_are(tmp_path: Path, dtype: str) -> None:
    content = tensors(dtype=dtype)
    out = tmp_path / "out"
    source = save(tmp_path / "a", content)
    result = run(source, out, "q0f32", exact_float32=True)
    expected = content["lm_head.weight"].astype(np.float32)
    assert stored(out)["lm_head.weight"] == expected.tobytes()
    assert result.nbytes == 4 * sum(each.size for each in content.values())
    assert not (out / "tensor-cache-b16.json").exists()


def test_scales_of_float32_can_be_stored_as_they_are(tmp_path: Path) -> None:
    content = tensors(dtype="float32")
    source, out = save(tmp_path / "a", content), tmp_path / "out"
    run(source, out, "q4f32_1", exact_float32=True)
    groups = content["model.embed_tokens.weight"].reshape(-1, 32)
    expected = abs(groups).max(axis=1) / np.float32(7)
    assert stored(out)["model.embed_tokens.q_scale"] == expected.tobytes()


def test_a_checkpoint_in_several_files_gives_the_same_parameters(
    source: Path, tmp_path: Path, quantization: str
) -> None:
    several = save(tmp_path / "several", tensors(), files=3)
    one = run(source, tmp_path / "one", quantization)
    assert run(several, tmp_path / "out", quantization) == one
    assert stored(tmp_path / "out") == stored(tmp_path / "one")


def test_the_number_of_threads_changes_no_byte(tmp_path: Path) -> None:
    config = CONFIG | {"vocab_size": 40000}
    source = save(tmp_path / "source", tensors(config))
    for threads in (1, 3):
        run(source, tmp_path / str(threads), config=config, threads=threads)
    assert written(tmp_path / "1") == written(tmp_path / "3")


def test_progress_adds_up_to_the_bytes_that_are_read(
    source: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    run(source, tmp_path / "out", recorder=recorder)
    assert sum(recorder.done) == recorder.total
    assert recorder.total == sum(each.nbytes for each in tensors().values())
    assert recorder.warnings == []


def test_tensors_without_a_use_are_a_warning(tmp_path: Path) -> None:
    extra = {f"extra.{i}": np.ones(2, np.int64) for i in range(7)}
    extra["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(2, np.int64)
    recorder = Recorder()
    source = save(tmp_path / "source", tensors() | extra)
    run(source, tmp_path / "out", recorder=recorder)
    (warning,) = recorder.warnings
    assert "no use for 7 tensors" in warning
    assert warning.endswith("extra.0, extra.1, extra.2, extra.3, extra.4, …")


def test_a_checkpoint_of_another_model_is_refused_before_any_work(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        run(source, tmp_path / "out", config=CONFIG | {"num_hidden_layers": 3})
    assert len(caught.value.problems) == 9
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["model.norm.weight", "model.layers.1.mlp.up_proj.weight"]
)
def test_a_weight_that_is_not_finite_is_refused_by_name(
    tmp_path: Path, name: str, bad: float, quantization: str
) -> None:
    content = tensors()
    content[name].reshape(-1)[3] = bad
    message = f"tensor {name} holds NaN or infinity"
    source = save(tmp_path / "source", content)
    with pytest.raises(InputError, match=message):
        run(source, tmp_path / "out", quantization)
    assert not (tmp_path / "out").exists()


def test_a_weight_too_large_for_the_model_dtype_is_refused(tmp_path: Path) -> None:
    content = tensors(dtype="bfloat16")
    content["model.norm.weight"][1] = 1e5
    source = save(tmp_path / "source", content)
    with pytest.raises(InputError, match="holds 99840, which is too large for float16"):
        run(source, tmp_path / "half", "q4f16_1")
    run(source, tmp_path / "single", "q4f32_1")


def test_a_weight_too_large_for_what_it_is_stored_as_is_refused(tmp_path: Path) -> None:
    content = tensors()
    content["model.layers.0.mlp.down_proj.weight"][3, 4] = 64000
    source = save(tmp_path / "source", content)
    message = (
        r"down_proj\.weight holds 64000, which is too large for float8_e5m2; choose"
    )
    with pytest.raises(InputError, match=message):
        run(source, tmp_path / "out", "e5m2_e5m2_f16")


def test_what_a_larger_conversion_left_is_gone_afterwards(
    tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out"
    config = CONFIG | {"vocab_size": 140000}
    run(save(tmp_path / "large", tensors(config)), out, "q0f32", config)
    (out / "mlc-chat-config.json").write_text("{}")
    assert (out / "params_shard_1.bin").exists()
    assert (out / "tensor-cache-b16.json").exists()
    run(source, out)
    assert sorted(written(out)) == [
        "mlc-chat-config.json",
        "params_shard_0.bin",
        "tensor-cache.json",
    ]


def test_a_failed_conversion_leaves_an_earlier_one_as_it_was(
    tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out"
    run(source, out)
    before = written(out)
    content = tensors()
    content["model.norm.weight"][:] = np.nan
    with pytest.raises(InputError):
        run(save(tmp_path / "bad", content), out, "q0f16")
    assert written(out) == before


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny_llama import Recorder, run

class Killer(Recorder):
    def advance(self, nbytes):
        super().advance(nbytes)
        if len(self.done) == 9:
            os.kill(os.getpid(), signal.SIGKILL)

run(Path(sys.argv[2]), Path(sys.argv[3]), "q0f16", recorder=Killer())
"""


def test_a_killed_conversion_leaves_the_earlier_one_and_the_next_cleans_up(
    tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out"
    run(source, out, "q4f16_1")
    before = written_files(out)
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), source, out]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (out / ".partial").is_dir()
    assert written_files(out) == before
    run(source, out, "q0f16")
    run(source, tmp_path / "clean", "q0f16")
    assert written(out) == written(tmp_path / "clean")


def written_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def small_files_only(source: Path) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_files_only")
def test_a_file_that_cannot_be_written_leaves_nothing(
    source: Path, tmp_path: Path
) -> None:
    threads = threading.active_count()
    with pytest.raises(BuildError, match=r"out.*: cannot be written: File too large"):
        run(source, tmp_path / "out", "q0f16")
    assert not (tmp_path / "out").exists()
    assert threading.active_count() == threads


def test_a_full_disk_is_noticed_before_any_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setattr("mlcx.weights.writer._free_bytes", lambda _: 999)
    with pytest.raises(BuildError, match=r"needs \d+ bytes of disk space, found 999"):
        run(source, tmp_path / "out", recorder=recorder)
    assert recorder.done == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["params_shard_0.bin", "tensor-cache-b16.json"])
def test_a_folder_in_the_place_of_a_file_is_noticed_before_any_work(
    source: Path, tmp_path: Path, name: str
) -> None:
    recorder, place = Recorder(), tmp_path / "out" / name
    place.mkdir(parents=True)
    (place.parent / "tensor-cache.json").write_text("{}")
    with pytest.raises(BuildError, match=rf"{name}: expected a file or nothing, found"):
        run(source, place.parent, recorder=recorder)
    assert recorder.done == []
    assert sorted(place.parent.iterdir()) == sorted(
        [place, place.with_name("tensor-cache.json")]
    )


def test_an_output_that_is_a_file_is_an_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BuildError, match="out: cannot be written: File exists"):
        run(source, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_of_a_transposed_weight_memory_holds_what_it_is_packed_to(
    tmp_path: Path,
) -> None:
    content = tensors() | {"lm_head.weight": np.full((1 << 20, 64), 0.5, np.float16)}
    content["model.embed_tokens.weight"] = content["lm_head.weight"]
    source = save(tmp_path / "source", content)
    del content
    config = CONFIG | {"vocab_size": 1 << 20}
    tracemalloc.start()
    run(source, tmp_path / "out", "q4f16_0", config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 128 MiB of output head are packed to 36 MiB.
    assert peak < (48 + 36) << 20


def test_memory_stays_far_below_the_largest_tensor(tmp_path: Path) -> None:
    config = CONFIG | {"vocab_size": 1 << 20, "tie_word_embeddings": True}
    content = tensors(CONFIG)
    del content["lm_head.weight"]
    content["model.embed_tokens.weight"] = np.full((1 << 20, 64), 0.5, np.float16)
    source = save(tmp_path / "source", content)
    del content
    tracemalloc.start()
    run(source, tmp_path / "out", config=config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 128 MiB of embedding; its scales, 4 MiB, wait for the codes to be written.
    assert peak < 48 << 20
    index = json.loads((tmp_path / "out" / "tensor-cache.json").read_text())
    assert index["records"][0]["nbytes"] == 32 << 20
