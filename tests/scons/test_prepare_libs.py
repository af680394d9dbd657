"""The last step for phones: MLC LLM's runtime, built by MLC's own scripts."""

from __future__ import annotations

import json
from pathlib import Path

import mlc_sources
import pytest

from mlcx.toolchain import zig

from .project import Project, write_json

pytestmark = pytest.mark.skipif(zig.program() is None, reason="needs ziglang")

SPEC = "mlc-package-config.json"
RUNTIME = ("mlc_llm", "tvm_runtime", "tvm_ffi_static", "sentencepiece")


def choose(project: Project, device: str) -> None:
    path = project.root / SPEC
    write_json(path, {**json.loads(path.read_text()), "device": device})


@pytest.mark.parametrize(
    ("device", "options"),
    [
        ("iphone", ""),
        ("macabi", "--catalyst --deployment-target 18.0 --arch x86_64"),
    ],
)
def test_the_runtime_for_ios_lies_beside_the_models(
    project: Project, tmp_path: Path, device: str, options: str
) -> None:
    environ = {**mlc_sources.make(tmp_path), "MLC_MACABI_ARCH": "x86_64"}
    choose(project, device)
    (project.root / "dist/lib").mkdir(parents=True)
    own = project.root / "dist/lib/libmine.a"
    own.write_text("mine")
    done = project.scons("-Q", **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "remains" not in done.stdout
    for name in RUNTIME:
        text = (project.root / f"dist/lib/lib{name}.a").read_text()
        assert text == f"{name} {options}\n"
    assert own.read_text() == "mine"
    assert (project.root / "dist/lib/libmodel_iphone.a").exists()
    assert project.build(**environ) == []


def test_the_runtime_for_android_is_a_module_with_the_models(
    project: Project, tmp_path: Path
) -> None:
    environ = mlc_sources.make(tmp_path)
    choose(project, "android")
    project.build(**environ)
    lib = project.root / "dist/lib"
    made = lib / "mlc4j"
    found = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert found == {
        "build.gradle",
        "output/arm64-v8a/libtvm4j_runtime_packed.so",
        "output/tvm4j_core.jar",
        "src/main/AndroidManifest.xml",
        "src/main/assets/mlc-app-config.json",
        "src/main/java/ai/mlc/mlcllm/MLCEngine.kt",
    }
    models = (lib / "libmodel_android.a").read_bytes()
    runtime = made / "output/arm64-v8a/libtvm4j_runtime_packed.so"
    assert runtime.read_bytes() == b"runtime with " + models
    asset = (made / "src/main/assets/mlc-app-config.json").read_bytes()
    assert asset == (project.root / "dist/bundle/mlc-app-config.json").read_bytes()
    assert project.build(**environ) == []
    kotlin = "android/mlc4j/src/main/java/ai/mlc/mlcllm/MLCEngine.kt"
    Path(environ["MLC_LLM_SOURCE_DIR"], kotlin).write_text("another")
    assert project.build(**environ) == ["prepare_libs dist/lib/mlc4j"]


def test_without_its_tools_all_but_the_runtime_is_built(
    project: Project, tmp_path: Path
) -> None:
    choose(project, "android")
    environ = mlc_sources.make(tmp_path)
    (tmp_path / "tools/javac").unlink()
    lacking = {**environ, "MLC_LLM_SOURCE_DIR": "", "ANDROID_NDK": ""}
    lacking["PATH"] = str(tmp_path / "tools")
    done = project.scons("-Q", **lacking)
    assert done.returncode == 0, done.stderr
    assert (project.root / "dist/lib/libmodel_android.a").exists()
    assert done.stdout.splitlines()[-1] == (
        "mlcx: what remains: the app links lib/libmodel_android.a with MLC LLM's "
        "runtime, which android/mlc4j/prepare_libs.py builds; to have it done here, "
        "build again with MLC LLM's sources (--mlc-llm-source-dir DIR, or set "
        "MLC_LLM_SOURCE_DIR), javac (apt-get install default-jdk-headless), the "
        "Android NDK (set ANDROID_NDK to its folder)"
    )


def test_a_script_that_fails_is_a_step_that_fails(
    project: Project, tmp_path: Path
) -> None:
    environ = mlc_sources.make(tmp_path)
    (tmp_path / "tools/cmake").write_text("#!/bin/sh\necho no compiler\nexit 3\n")
    choose(project, "iphone")
    done = project.scons("-Q", "-k", **environ)
    assert done.returncode == 2
    assert "no compiler" in done.stderr
    assert not (project.root / "dist/lib/libmlc_llm.a").exists()
    assert (project.root / "dist/bundle/mlc-app-config.json").exists()


def test_a_folder_that_is_no_checkout_is_refused(project: Project) -> None:
    choose(project, "iphone")
    done = project.scons("-Q", MLC_LLM_SOURCE_DIR=str(project.root))
    assert done.returncode == 2
    assert done.stderr == (
        "mlcx: MLC_LLM_SOURCE_DIR: expected a folder with ios/prepare_libs.sh, found "
        f"'{project.root}': name a checkout of MLC LLM\n"
    )
