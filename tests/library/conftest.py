"""Small libraries of every format: one kernel, and what a model says of itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from described import metadata, stamp
from tvm import relax
from tvm.s_tir import dlight
from tvm.script import ir as I
from tvm.script import relax as R

from mlcx.compiler.passes.attach_metadata import AttachMetadata
from mlcx.compiler.passes.attach_prefix import AttachPrefix
from mlcx.compiler.targets import target_of
from mlcx.toolchain import products, zig
from mlcx.toolchain.triple import parse

Build = Callable[..., Path]
"""From a device, a triple and a suffix, and a prefix, to a library."""

_WEB_LINK = ["--import-undefined", "--no-entry", "--export-table"]


@I.ir_module
class Doubling:
    """One kernel."""

    @R.function
    def twice(x: R.Tensor(("n",), "float32")) -> R.Tensor(("n",), "float32"):
        with R.dataflow():
            y = R.add(x, x)
            R.output(y)
        return y


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a library, once a session."""

    @cache
    def built(device: str, triple: str, suffix: str, prefix: str | None = None) -> Path:
        folder = tmp_path_factory.mktemp("library")
        objects = _objects(device, triple, prefix, folder)
        if suffix == ".wasm":
            names = [path.name for path in objects]
            zig.run(["wasm-ld", *_WEB_LINK, "-o", "model.wasm", *names], folder)
            return folder / "model.wasm"
        return products.make(objects, suffix, parse(triple), folder)

    return built


def _objects(device: str, triple: str, prefix: str | None, folder: Path) -> list[Path]:
    target = target_of(device, triple)
    kept: list[Path] = []

    def keep(_: str, paths: Sequence[str], **__: Any) -> None:
        kept.extend(Path(shutil.copy(path, folder)) for path in paths)

    made = stamp(device=device, system_lib_prefix=prefix)
    with target:
        module = relax.transform.LegalizeOps()(Doubling)
        if device != "cpu":
            module = dlight.ApplyDefaultSchedule(dlight.gpu.Fallback())(module)
        module = AttachMetadata(metadata(made))(module)
        module = relax.get_default_pipeline(target)(module)
    if prefix is not None:
        module = AttachPrefix(prefix)(module)
    executable = relax.build(module, target, relax_pipeline=None)
    executable.export_library(str(folder / "unused"), fcompile=keep)
    return kept
