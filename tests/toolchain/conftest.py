"""Objects of a small model, for any machine."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from mlcx.compiler.passes.attach_prefix import AttachPrefix
from mlcx.compiler.targets import target_of

Objects = Callable[..., list[Path]]


@I.ir_module
class Exponential:
    """One kernel, which calls the C library's ``expf``."""

    @R.function
    def main(x: R.Tensor(("n",), "float32")) -> R.Tensor(("n",), "float32"):
        with R.dataflow():
            y = R.exp(x)
            R.output(y)
        return y


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Return a function from a triple, and a prefix, to the model's objects."""

    def make(triple: str, prefix: str | None = None) -> list[Path]:
        folder = tmp_path / f"objects-{triple}-{prefix}"
        folder.mkdir()
        kept: list[Path] = []

        def keep(_: str, paths: Sequence[str], **__: Any) -> None:
            kept.extend(Path(shutil.copy(path, folder)) for path in paths)

        target = target_of("cpu", triple)
        with target:
            module = relax.get_default_pipeline(target)(Exponential)
        if prefix is not None:
            module = AttachPrefix(prefix)(module)
        executable = relax.build(module, target, relax_pipeline=None)
        executable.export_library(str(tmp_path / "unused"), fcompile=keep)
        return kept

    return make
