"""What a right spec means, job by job."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import UsageError
from mlcx.spec import load
from mlcx.spec.devices import DEVICES, Device
from mlcx.spec.types import (
    AppEntry,
    BundleJob,
    LibraryJob,
    Plan,
    PrebuiltJob,
    Use,
    WeightsJob,
)

NO_FLAGS = "O0"
"""What every text of flags comes out as for the cpu, which looks at none."""

LIBRARIES = "model_lib_path_for_prepare_libs"


def test_a_package_of_a_checkpoint_a_model_directory_and_a_ready_made_library(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    here: Path,
) -> None:
    (here / "ready.so").touch()
    spec = package(
        entry(
            model_id="tiny-q4.1",
            overrides={"prefill_chunk_size": 8.0, "opt": "O0", "disaggregation": False},
            estimated_vram_bytes=7.0,
        ),
        entry(
            model="./mlc/",
            model_id="b",
            model_lib="b-lib",
            quantization=...,
            conv_template=...,
            host="aarch64-linux-gnu",
            mcpu="cortex-a76",
        ),
        entry(model_id="c", model_lib="ready"),
        **{LIBRARIES: {"ready": "ready.so"}},
    )
    checkpoint, mlc = here / "checkpoint", here / "mlc"
    assert load(write(spec)) == Plan(
        spec=here / "spec.json",
        kind="package",
        weights=(
            WeightsJob("tiny-q4.1", checkpoint, "q4f16_1", "chatml", "tiny-q4.1/model"),
            WeightsJob("c", checkpoint, "q4f16_1", "chatml", "c/model"),
        ),
        libraries=(
            LibraryJob(
                model_id="tiny-q4.1",
                model=checkpoint,
                kind="checkpoint",
                quantization="q4f16_1",
                device="cpu",
                opt=NO_FLAGS,
                overrides=(("disaggregation", False), ("prefill_chunk_size", 8)),
                system_lib_prefix=None,
                host="auto",
                mcpu="auto",
                library="lib/tiny_q4_1.so",
            ),
            LibraryJob(
                model_id="b",
                model=mlc,
                kind="mlc",
                quantization=None,
                device="cpu",
                opt=NO_FLAGS,
                overrides=(),
                system_lib_prefix=None,
                host="aarch64-linux-gnu",
                mcpu="cortex-a76",
                library="lib/b-lib.so",
            ),
        ),
        bundles=(
            BundleJob(
                "tiny-q4.1",
                checkpoint,
                "checkpoint",
                "tiny-q4.1/model",
                "bundle/tiny-q4.1",
            ),
            BundleJob("b", mlc, "mlc", "", "bundle/b"),
            BundleJob("c", checkpoint, "checkpoint", "c/model", "bundle/c"),
        ),
        app=(
            AppEntry("tiny-q4.1", "tiny_q4_1", "tiny-q4.1", None, 7),
            AppEntry("b", "b-lib", "b", None, None),
            AppEntry("c", "ready", "c", None, None),
        ),
        prebuilt=(
            PrebuiltJob(
                "ready",
                here / "ready.so",
                "lib/ready.so",
                "cpu",
                "auto",
                (Use(checkpoint, "checkpoint", "q4f16_1"),),
            ),
        ),
    )


def test_whole_numbers_stay_whole(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
) -> None:
    spec = package(entry(overrides={"max_batch_size": 2.0}, estimated_vram_bytes=7.0))
    plan = load(write(spec))
    assert repr(plan.libraries[0].overrides) == "(('max_batch_size', 2),)"
    assert repr(plan.app[0].estimated_vram_bytes) == "7"


@pytest.mark.parametrize(
    ("device", "means", "file"),
    [
        # MLC's own table of names
        ("cuda", "cuda", "m-q4f16_1-cuda.so"),
        ("vulkan", "vulkan", "m-q4f16_1-vulkan.so"),
        ("metal", "metal", "m-q4f16_1-metal.so"),
        ("android", "android", "m-q4f16_1-android.tar"),
        ("ios", "iphone", "m-q4f16_1-ios.tar"),
        ("webgpu", "webgpu", "m-q4f16_1-webgpu.wasm"),
        # devices that it stops at
        ("iphone", "iphone", "m-q4f16_1-iphone.tar"),
        ("metal:x86-64", "metal:x86-64", "m-q4f16_1-metal-x86-64.dylib"),
        ("android:adreno", "android:adreno", "m-q4f16_1-android-adreno.tar"),
    ],
)
def test_what_is_delivered_has_the_name_that_mlc_gives_it(
    write: Callable[..., str],
    delivery: Callable[..., dict[str, Any]],
    device: str,
    means: str,
    file: str,
) -> None:
    spec = delivery(
        tasks=[{"model_id": "m", "model": "checkpoint"}],
        default_compile_options=[{"device": device}],
        default_quantization=["q4f16_1"],
        binary_libs_dir="libs",
    )
    (job,) = load(write(spec)).libraries
    assert (job.device, job.library) == (means, f"libs/m/{file}")


def test_a_delivery_is_every_option_with_every_quantization_defaults_first(
    write: Callable[..., str], delivery: Callable[..., dict[str, Any]], here: Path
) -> None:
    option = {
        "device": "cpu",
        "overrides": {"max_batch_size": 2, "context_window_size": 64},
        "opt": "O0",
        "host": "aarch64-linux-gnu",
        "mcpu": "cortex-a76",
    }
    spec = delivery(
        tasks=[
            {"model_id": "a", "model": "checkpoint", "quantization": ["q0f32"]},
            {"model_id": "b", "model": "mlc"},
        ],
        default_compile_options=[option],
        binary_libs_dir="./out//libs/",
    )
    plan = load(write(spec))
    assert plan.libraries[0] == LibraryJob(
        model_id="a",
        model=here / "checkpoint",
        kind="checkpoint",
        quantization="q4f16_1",
        device="cpu",
        opt=NO_FLAGS,
        overrides=(("context_window_size", 64), ("max_batch_size", 2)),
        system_lib_prefix=None,
        host="aarch64-linux-gnu",
        mcpu="cortex-a76",
        library="out/libs/a/a-q4f16_1-cpu.so",
    )
    assert [job.library for job in plan.libraries] == [
        "out/libs/a/a-q4f16_1-cpu.so",
        "out/libs/a/a-q0f32-cpu.so",
        "out/libs/b/b-q4f16_1-cpu.so",
    ]
    assert plan.kind == "delivery"
    assert (plan.weights, plan.bundles, plan.app, plan.prebuilt) == ((), (), (), ())


def test_a_static_library_carries_its_name_as_the_prefix_of_its_symbols(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DEVICES, "cpu", Device("cpu", ".tar", static=True))
    job = load(write(package(entry(model_lib="a-b")))).libraries[0]
    assert (job.library, job.system_lib_prefix) == ("lib/a-b.tar", "a_b_")


def test_a_delivered_static_library_carries_the_prefix_that_is_given(
    write: Callable[..., str],
    delivery: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DEVICES, "cpu", Device("cpu", ".tar", static=True))
    option = {"device": "cpu", "system_lib_prefix": "mine_"}
    job = load(write(delivery(default_compile_options=[option]))).libraries[0]
    assert (job.library, job.system_lib_prefix) == ("libs/a/a-q4f16_1-cpu.tar", "mine_")


def test_paths_start_at_the_spec_not_at_the_current_folder(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(package())
    monkeypatch.chdir(here / "nothing")
    plan = load("../spec.json")
    assert plan.spec == here / "spec.json"
    assert plan.weights[0].model == here / "checkpoint"


def test_a_symbolic_link_to_a_model_is_left_as_it_is(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    here: Path,
) -> None:
    (here / "link").symlink_to("checkpoint")
    plan = load(write(package(entry(model="link"))))
    assert plan.libraries[0].model == here / "link"


def test_moving_everything_changes_nothing_but_the_folder(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    here: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    before = load(write(package()))
    there = tmp_path_factory.mktemp("there") / "copy"
    shutil.copytree(here, there)
    after = load(there / "spec.json")
    assert repr(after) == repr(before).replace(str(here), str(there))


@pytest.mark.parametrize(
    ("given", "exact"),
    [({}, False), ({"float32": "bfloat16"}, False), ({"float32": "raw"}, True)],
)
def test_float32_is_stored_as_mlc_does_unless_it_is_to_be_kept(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    given: dict[str, str],
    exact: bool,
) -> None:
    assert load(write(package(entry(**given)))).weights[0].exact_float32 is exact


def test_a_package_config_without_models_is_an_empty_plan(
    write: Callable[..., str],
) -> None:
    plan = load(write({"device": "cpu"}))
    assert (plan.libraries, plan.bundles, plan.app) == ((), (), ())


@pytest.mark.parametrize(
    ("given", "variable", "archs"),
    [
        ({}, None, ()),
        ({}, "90a,80", ("sm_80", "sm_90a")),
        ({"archs": "sm_90,75"}, "80", ("sm_75", "sm_90")),
    ],
)
def test_a_spec_names_architectures_else_the_variable(
    write: Callable[..., str],
    delivery: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    variable: str | None,
    archs: tuple[str, ...],
) -> None:
    monkeypatch.delenv("MLC_MULTI_ARCH", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLC_MULTI_ARCH", variable)
    options = [{"device": "cuda", **given}, {"device": "cpu"}]
    plan = load(write(delivery(default_compile_options=options)))
    assert {job.device: job.archs for job in plan.libraries} == {
        "cuda": archs,
        "cpu": (),
    }


def test_a_variable_that_names_no_architecture_is_refused(
    write: Callable[..., str],
    delivery: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLC_MULTI_ARCH", "ninety")
    with pytest.raises(UsageError, match="MLC_MULTI_ARCH: CUDA architecture 'ninety'"):
        load(write(delivery(default_compile_options=[{"device": "cuda"}])))
