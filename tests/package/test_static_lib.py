"""The static library of an app: every model in it, each under its own name."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from mlcx.__main__ import main
from mlcx.compiler.export import export
from mlcx.compiler.passes.attach_prefix import AttachPrefix
from mlcx.compiler.targets import target_of
from mlcx.errors import BuildError, InputError
from mlcx.library.index import symbols
from mlcx.package.static_lib import make_static_lib
from mlcx.toolchain import zig

pytestmark = pytest.mark.skipif(zig.program() is None, reason="needs ziglang")
HOSTS = ["arm64-apple-ios14.0", "aarch64-linux-android24"]


@I.ir_module
class Model:
    @R.function
    def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
        with R.dataflow():
            y = R.add(x, x)
            R.output(y)
        return y


@pytest.fixture
def library(tmp_path: Path) -> Callable[..., Path]:
    """Return a function from a host, a prefix and a file's name to a library."""

    def make(host: str, prefix: str, name: str) -> Path:
        target, output = target_of("cpu", host), tmp_path / name
        with target:
            module: Any = relax.get_default_pipeline(target)(Model)
        module = AttachPrefix(prefix)(module)
        executable = relax.build(module, target, relax_pipeline=None)
        export(executable, output, target)
        return output

    return make


@pytest.mark.parametrize("host", HOSTS)
def test_two_models_are_found_under_their_names(
    library: Callable[..., Path],
    tmp_path: Path,
    host: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = library(host, "a_", "a.tar"), library(host, "Llama_3_", "b.tar")
    output = tmp_path / "lib" / "libmodel.a"
    names = ["--model-lib", "a", "--model-lib", "Llama-3"]
    assert main(["static_lib", str(one), str(two), *names, "-o", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}: a_, Llama_3_\n"
    found = symbols(output)
    assert {"__tvm_ffi_a_add", "__tvm_ffi_Llama_3_add"} <= set(found)
    assert "a___tvm_ffi__library_ctx" in found
    nm = shutil.which("llvm-nm")
    if nm is not None:
        command = [nm, "--defined-only", "--extern-only", "--format=just-symbols"]
        listed = subprocess.run(
            [*command, str(output)], capture_output=True, text=True, check=True
        )
        lines = [line for line in listed.stdout.split() if not line.endswith(":")]
        strip = "apple" in host
        assert sorted(line[strip:] for line in lines) == sorted(found)


@pytest.mark.parametrize("host", HOSTS)
def test_two_models_of_one_prefix_are_refused(
    library: Callable[..., Path], tmp_path: Path, host: str
) -> None:
    same = [library(host, "a_", name) for name in ("a.tar", "b.tar")]
    with pytest.raises(BuildError, match="have the prefix 'a_' and would clash"):
        make_static_lib(same, [], tmp_path / "x.a")
    assert not (tmp_path / "x.a").exists()


def test_libraries_for_two_machines_are_refused(
    library: Callable[..., Path], tmp_path: Path
) -> None:
    """Of which one may be ready-made; a linker of one would drop the other's."""
    hosts = {
        "a": HOSTS[0],
        "b": "arm64-apple-ios17.0",
        "c": "arm64-apple-darwin",  # as MLC LLM has it, which says less
        "d": HOSTS[1],
        "e": "arm64-apple-ios18.0-macabi",
    }
    a, b, c, d, e = (library(host, f"{n}_", f"{n}.tar") for n, host in hosts.items())
    prefixes = make_static_lib([c, a, b], [], tmp_path / "x.a", "iphone")
    assert prefixes == ["c_", "a_", "b_"]
    for wrong, kind, other in ((d, "ELF", c), (e, "mac catalyst", a)):
        message = f"{wrong}: expected .* objects, as {other} has, found {kind}: take"
        with pytest.raises(InputError, match=message):
            make_static_lib([c, a, wrong], [], tmp_path / "y.a")
    for device, wrong in (("iphone", d), ("iphone", e), ("macabi", a), ("android", c)):
        with pytest.raises(InputError, match=f"{wrong}: .* as an app for {device} has"):
            make_static_lib([wrong], [], tmp_path / "y.a", device)
    assert not (tmp_path / "y.a").exists()


def test_a_name_without_a_library_is_refused(
    library: Callable[..., Path], tmp_path: Path
) -> None:
    (one,) = [library(HOSTS[0], "a_", "a.tar")]
    with pytest.raises(BuildError, match="no library has the prefix 'b_c_' of b-c"):
        make_static_lib([one], ["b-c"], tmp_path / "x.a")


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.tar"
    wrong.write_text("text")
    with pytest.raises(InputError, match=r"wrong\.tar: expected a \.tar that mlcx"):
        make_static_lib([wrong], [], tmp_path / "x.a")
    with pytest.raises(InputError, match=r"none\.tar: cannot be read: No such file"):
        make_static_lib([tmp_path / "none.tar"], [], tmp_path / "x.a")
    assert main(["static_lib", str(wrong), "-o", str(tmp_path / "x.so")]) == 2
    assert list(tmp_path.iterdir()) == [wrong]
    with pytest.raises(InputError, match="expected an archive"):
        symbols(wrong)
