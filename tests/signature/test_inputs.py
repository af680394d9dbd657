from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from mlcx.package import bundle
from mlcx.signature import inputs
from mlcx.signature.facts import Fact
from mlcx.spec.digest import digest_file
from mlcx.toolchain import zig


def test_tvm_is_named_with_the_versions_that_are_installed() -> None:
    versions = [metadata.version(name) for name in ("apache-tvm", "apache-tvm-ffi")]
    expected = f"TVM apache-tvm {versions[0]}, apache-tvm-ffi {versions[1]}"
    assert str(inputs.tvm()) == expected


def test_a_missing_linker_is_an_input_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(zig, "program", lambda: None)
    inputs.toolchain.cache_clear()
    fact, missing = inputs.toolchain("cpu", "auto", ".so")
    assert str(fact) == "tools linker none"
    assert [(each.device, each.tool.name) for each in missing] == [("cpu", "linker")]
    program = tmp_path / "ld"
    program.write_text("#!/bin/sh\necho GNU ld 2.40\necho more\n")
    program.chmod(0o755)
    inputs.toolchain.cache_clear()
    fact, missing = inputs.toolchain("cpu", "auto", ".so")
    assert (str(fact), missing) == ("tools linker GNU ld 2.40", ())
    inputs.toolchain.cache_clear()


def test_sources_are_those_that_a_package_reaches() -> None:
    assert inputs.sources("check", "spec") != inputs.sources("check", "compiler")
    named = inputs.sources("package", "package")
    assert named.name == "sources of mlcx.package"
    files = dict(named.parts)
    assert files["package/bundle.py"] == digest_file(Path(bundle.__file__))
    assert "compiler/build.py" not in files


def test_the_text_of_a_fact_changes_with_its_data_and_stays_short() -> None:
    short = Fact.of("TVM", {"apache-tvm": "0.27"})
    assert str(short) == "TVM apache-tvm 0.27"
    long = [Fact.of("sources", {f"file{n}": "0" * 64, "x": str(n)}) for n in range(2)]
    assert len({str(fact) for fact in long}) == 2
    assert all(len(str(fact)) < 110 for fact in long)
