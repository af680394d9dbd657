"""What a library imports, packed under names that any archive takes."""

import tarfile
from pathlib import Path

import pytest
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from mlcx.compiler.export import export
from mlcx.compiler.passes.attach_prefix import AttachPrefix
from mlcx.compiler.targets import target_of

PHONE = target_of("cpu", "arm64-apple-ios14.0")


@I.ir_module
class Halving:
    """One kernel."""

    @R.function
    def half(x: R.Tensor(("n",), "float32")) -> R.Tensor(("n",), "float32"):
        with R.dataflow():
            y = R.multiply(x, R.const(0.5))
            R.output(y)
        return y


def built(prefix: str) -> relax.VMExecutable:
    with PHONE:
        module = relax.get_default_pipeline(PHONE)(Halving)
    return relax.build(AttachPrefix(prefix)(module), PHONE, relax_pipeline=None)


def members(library: Path) -> dict[str, bytes]:
    with tarfile.open(library) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}


@pytest.mark.parametrize("length", [120, 400, 5000])
def test_a_prefix_may_be_longer_than_the_names_of_files(
    tmp_path: Path, length: int
) -> None:
    prefix, library = "name_" * (length // 5), tmp_path / "model.tar"
    export(built(prefix), library, PHONE)
    found = members(library)
    assert max(map(len, found)) < 100
    (imports,) = (found[name] for name in found if name.endswith("devc.o"))
    assert f"___tvm_ffi_{prefix}multiply\0".encode() in found["lib0.o"]
    assert f"\0_{prefix}__tvm_ffi__library_bin\0".encode() in b"\0" + imports


def test_imports_are_packed_as_tvm_packs_them(tmp_path: Path) -> None:
    executable = built("tiny_")
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    export(executable, ours, PHONE)
    executable.export_library(str(theirs))
    by_tvm = {Path(name).name: data for name, data in members(theirs).items()}
    assert members(ours) == by_tvm
    assert set(by_tvm) == {"lib0.o", "tiny_devc.o"}
