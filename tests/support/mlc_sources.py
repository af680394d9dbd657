"""A double of MLC LLM's sources: scripts that check what they are given.

They speak MLC's contract: options, current folder, environment, files expected and
made. The tools that they would call are there by name only.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_IOS = """#!/bin/bash
set -eu
out=build
options="$*"
while [ $# -gt 0 ]; do
    case "$1" in
        --catalyst) catalyst=1; shift ;;
        --deployment-target) target="$2"; shift 2 ;;
        --arch) arch="$2"; shift 2 ;;
        *) echo "illegal option $1"; exit 1 ;;
    esac
done
if [ -n "${catalyst:-}" ]; then out="build-maccatalyst-$arch"; fi
case "$MLC_LLM_SOURCE_DIR" in /*) ;; *) echo "relative sources"; exit 1 ;; esac
[ -f "$MLC_LLM_SOURCE_DIR/ios/prepare_libs.sh" ]
rustup; cmake; xcodebuild
mkdir -p "$out/lib"
for name in mlc_llm tvm_runtime tvm_ffi_static tokenizers_cpp tokenizers_c sentencepiece
do echo "$name $options" > "$out/lib/lib$name.a"; done
"""

_ANDROID = """
import argparse, os, pathlib, subprocess
parser = argparse.ArgumentParser()
parser.add_argument("--mlc-llm-source-dir", type=pathlib.Path, required=True)
source = parser.parse_args().mlc_llm_source_dir
assert source.is_absolute() and (source / "android/mlc4j/prepare_libs.py").is_file()
assert os.environ["MLC_LLM_SOURCE_DIR"] == str(source)
assert os.path.isdir(os.environ["ANDROID_NDK"])
os.makedirs("build/lib", exist_ok=True)
os.chdir("build")
for tool in ("cmake", "rustup", "javac"):
    subprocess.run([tool], check=True)
models = pathlib.Path("lib/libmodel_android.a").read_bytes()
made = pathlib.Path("output/arm64-v8a")
made.mkdir(parents=True, exist_ok=True)
(made / "libtvm4j_runtime_packed.so").write_bytes(b"runtime with " + models)
(made.parent / "tvm4j_core.jar").write_bytes(b"jar")
"""


def make(folder: Path) -> dict[str, str]:
    """Make the sources in ``folder``; return the environment in which they build."""
    sources, tools = folder / "mlc-llm", folder / "tools"
    files = {
        "ios/prepare_libs.sh": _IOS,
        "android/mlc4j/prepare_libs.py": _ANDROID,
        "android/mlc4j/build.gradle": "gradle",
        "android/mlc4j/src/main/AndroidManifest.xml": "manifest",
        "android/mlc4j/src/main/java/ai/mlc/mlcllm/MLCEngine.kt": "kotlin",
    }
    for name, text in files.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tools.mkdir()
    for name in ("cmake", "rustup", "xcodebuild", "javac"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(stat.S_IRWXU)
    path = os.pathsep.join((str(tools), os.environ["PATH"]))
    variables = {"MLC_LLM_SOURCE_DIR": str(sources), "ANDROID_NDK": str(tools)}
    return {**variables, "PATH": path}
