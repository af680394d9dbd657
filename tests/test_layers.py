"""The import rules of ``mlcx.layers``, held against every file."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlcx
from mlcx.layers import ALLOWED, LIGHT, closure

ROOT = Path(mlcx.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
HEAVY = ("tvm", "torch", "transformers")


def imports(path: Path) -> Iterator[str]:
    """Yield every module that the file imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(name: str) -> str | None:
    """Return the package below mlcx that the module ``name`` belongs to."""
    parts = name.split(".")
    known = {*ALLOWED, "cli"}
    return parts[1] if parts[0] == "mlcx" and parts[1:2] and parts[1] in known else None


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_only_what_its_package_may(file: Path) -> None:
    own = file.parts[0].removesuffix(".py")
    if own in ("cli", "__main__", "__init__"):
        return
    found = {package(name) for name in imports(ROOT / file)} - {None, own}
    assert found <= ALLOWED[own]


def test_every_package_has_a_row() -> None:
    packages = {file.parts[0].removesuffix(".py") for file in FILES}
    assert packages - {"cli", "__main__", "__init__"} == set(ALLOWED)


def test_no_package_reaches_itself() -> None:
    for name, below in ALLOWED.items():
        assert all(name not in closure(other) for other in below)


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not set(HEAVY) & {name.split(".")[0] for name in loaded.stdout.split()}


POSIX = ("fcntl", "grp", "pwd", "resource", "termios")


def test_what_runs_on_windows_needs_no_module_that_is_missing_there() -> None:
    """All but builds, which say where they run; other libraries included."""
    at_once = re.compile(f"^(?:import|from) (?:{'|'.join(POSIX)})\\b", re.MULTILINE)
    users = {file for file in FILES if at_once.search((ROOT / file).read_text())}
    assert {file.parts[0] for file in users} <= {"scons"}
    code = f"import sys; sys.modules |= dict.fromkeys({POSIX}); import "
    subprocess.run([sys.executable, "-c", code + ", ".join(LIGHT)], check=True)


def test_only_two_packages_know_tvm_at_run_time() -> None:
    """The runtime meets TVM in one module, the packages without kernels in none."""
    users = {
        file
        for file in FILES
        if any(
            name.split(".")[0] in ("tvm", "tvm_ffi") for name in imports(ROOT / file)
        )
    }
    free = set("artifact errors layers spec weights package scons".split())
    free |= {"steps", "report", "reasons", "store", "hub"}
    assert not {file for file in users if file.parts[0].removesuffix(".py") in free}
    runtime = {file.as_posix() for file in users if file.parts[0] == "runtime"}
    assert runtime <= {"runtime/device.py"}


def test_only_one_package_knows_scons() -> None:
    users = {
        file.parts[0]
        for file in FILES
        if any(name.split(".")[0] == "SCons" for name in imports(ROOT / file))
    }
    assert users <= {"scons"}
