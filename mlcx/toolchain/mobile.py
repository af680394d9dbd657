"""What MLC LLM's scripts for phones need to build its runtime, and what they make."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ANDROID_OUTPUTS", "IOS_LIBRARIES", "missing"]

IOS_LIBRARIES = (
    "libmlc_llm.a",
    "libtvm_runtime.a",
    "libtvm_ffi_static.a",
    "libtokenizers_cpp.a",
    "libtokenizers_c.a",
    "libsentencepiece.a",
)
"""What an app on iOS links besides its models."""

ANDROID_OUTPUTS = ("tvm4j_core.jar", "arm64-v8a/libtvm4j_runtime_packed.so")
"""What the script for Android makes; the models are linked into the second."""

_CMAKE = ("cmake", "pip install cmake")
_RUST = ("rustup", "see https://rustup.rs")
_PROGRAMS = {
    "iphone": (
        ("bash", "apt-get install bash"),
        _CMAKE,
        _RUST,
        ("xcodebuild", "install Xcode, on a Mac"),
    ),
    "android": (_CMAKE, _RUST, ("javac", "apt-get install default-jdk-headless")),
}
"""Platform to the programs that its script calls, each with its remedy."""

_NDK = "ANDROID_NDK"


def missing(platform: str, environ: Mapping[str, str]) -> list[str]:
    """Return the tools that are not there, each with its remedy.

    Args:
        platform: ``iphone``, also for Mac Catalyst, or ``android``.
        environ: Of the script, which looks for Rust in the home directory too.
    """
    cargo = Path(environ.get("HOME", "~")).expanduser() / ".cargo" / "bin"
    path = os.pathsep.join((str(cargo), environ.get("PATH", os.defpath)))
    found = [
        f"{name} ({remedy})"
        for name, remedy in _PROGRAMS[platform]
        if shutil.which(name, path=path) is None
    ]
    if platform == "android" and not Path(environ.get(_NDK) or "/none").is_dir():
        found.append(f"the Android NDK (set {_NDK} to its folder)")
    return found
