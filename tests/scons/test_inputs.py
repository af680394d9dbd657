from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from mlcx.scons import inputs
from mlcx.toolchain import zig


def test_tvm_is_named_with_the_versions_that_are_installed() -> None:
    versions = [metadata.version(name) for name in ("apache-tvm", "apache-tvm-ffi")]
    expected = f"apache-tvm {versions[0]} apache-tvm-ffi {versions[1]}"
    inputs.tvm.cache_clear()
    assert inputs.tvm() == expected


def test_a_missing_linker_is_an_input_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(zig, "program", lambda: None)
    inputs.toolchain.cache_clear()
    fact, missing = inputs.toolchain("cpu", "auto", ".so")
    assert fact == "tools linker none"
    assert "cpu needs linker" in missing
    program = tmp_path / "gcc"
    program.write_text("#!/bin/sh\necho gcc 12.2\necho more\n")
    program.chmod(0o755)
    inputs.toolchain.cache_clear()
    assert inputs.toolchain("cpu", "auto", ".so") == ("tools linker gcc 12.2", "")
    inputs.toolchain.cache_clear()


def test_sources_are_those_that_a_package_reaches() -> None:
    assert inputs.sources("check", "spec") != inputs.sources("check", "compiler")
    named = inputs.sources("package", "package")
    assert named.startswith("sources of mlcx.package ")
