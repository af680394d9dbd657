"""Trees, users and programs that share what they really compile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from web import LACKS

from mlcx.web.kept import kept

from .project import write_json
from .test_sample import REPOSITORY, SCRIPT, write_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LIBRARY = "dist/lib/raw.so"
OVERRIDES = {"max_batch_size": 2}
ASK = """
import logging, sys, mlcx
logging.basicConfig(level=logging.INFO)
overrides = {"max_batch_size": int(sys.argv[2])}
print(mlcx.jit(sys.argv[1], overrides, sys.argv[3]).model_lib_path)
print(*sys.modules)
"""
OWN = {"report.json", "report.md", "report.html", "journal.jsonl", "lock"}


class User:
    """Somebody with a home and a tree of the same project."""

    device = "cpu"

    def __init__(self, root: Path, checkpoint: Path, shared: str) -> None:
        self.root, self.home = root / "tree", root / "home"
        shutil.copytree(REPOSITORY / "site_scons", self.root / "site_scons")
        shutil.copytree(checkpoint, self.root / "models/raw")
        (self.root / "SConstruct").write_text(SCRIPT)
        self.write(OVERRIDES)
        home = {"MLC_LLM_HOME": str(self.home), "MLCX_CACHE_DIR": ""}
        self.environ = {**os.environ, **home, "MLCX_CACHE_URL": shared}

    def write(self, overrides: dict[str, int]) -> None:
        entry = {"model": "models/raw", "model_id": "raw", "bundle_weight": True}
        entry |= {"quantization": "q4f16_1", "conv_template": "chatml"}
        models = [{**entry, "overrides": overrides}]
        spec = {"device": self.device, "model_list": models}
        write_json(self.root / "mlc-package-config.json", spec)

    def build(self, *options: str, **environ: str) -> str:
        """Build, and return what was said on stderr."""
        done = self._run("-m", "SCons", *options, **environ)
        return done.stderr

    def jit(self, batch: int, **environ: str) -> tuple[bytes, set[str]]:
        """Return a library, and the modules that it took to get it."""
        model = str(self.root / "dist/bundle/raw")
        asked = ("-c", ASK, model, str(batch), self.device)
        file, loaded = self._run(*asked, **environ).stdout.split("\n", 1)
        return Path(file).read_bytes(), {name.split(".")[0] for name in loaded.split()}

    def _run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.root,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )

    def statuses(self) -> dict[str, str]:
        rows = json.loads((self.root / "dist/report.json").read_text())["jobs"]
        return {Path(row["target"]).name: row["status"] for row in rows}

    def products(self) -> dict[str, bytes]:
        folder = self.root / "dist"
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name not in OWN
        }


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharing")
    write_checkpoint(folder / "checkpoint")
    return folder


class WebUser(User):
    """The same for browsers."""

    device = "webgpu"


def user(places: Path, name: str, kind: type[User] = User) -> User:
    return kind(places / name, places / "checkpoint", f"file://{places}/shared")


@pytest.fixture(scope="module")
def first(places: Path) -> User:
    """Somebody who has built everything, and shares it."""
    pytest.importorskip("obstore")
    made = user(places, "first")
    made.build("-j2")
    assert made.statuses()[Path(LIBRARY).name] == "built"
    return made


def test_a_tree_elsewhere_compiles_nothing_and_makes_the_same(
    places: Path, first: User
) -> None:
    second = user(places, "deep/er/second")
    assert second.build("-j1", LC_ALL="C", PYTHONHASHSEED="7") == ""
    found = second.statuses()
    assert found["raw.so"] == found["compile-config.json"] == "cached"
    assert second.products() == first.products()


def test_what_is_damaged_is_reported_and_compiled_again(
    places: Path, first: User
) -> None:
    whole = (first.root / LIBRARY).read_bytes()
    content = places / "shared/content"
    damaged = [path for path in content.iterdir() if path.read_bytes() == whole]
    damaged[0].write_bytes(whole[:-1] + b"?")
    third = user(places, "third")
    said = third.build("-j2")
    assert "compile raw, q4f16_1, cpu, max_batch_size=2 is damaged: expected" in said
    assert third.statuses()["raw.so"] == "built"
    assert third.products() == first.products()
    assert damaged[0].read_bytes() == whole


def test_a_program_takes_what_a_build_made_and_loads_no_tvm(
    places: Path, first: User
) -> None:
    fourth = user(places, "fourth")
    shutil.copytree(first.root / "dist/bundle", fourth.root / "dist/bundle")
    library, loaded = fourth.jit(2, MLC_JIT_POLICY="READONLY")
    assert library == (first.root / LIBRARY).read_bytes()
    assert not loaded & {"tvm", "tvm_ffi", "numpy", "SCons"}


def test_a_build_takes_what_a_program_made(places: Path, first: User) -> None:
    library, _ = first.jit(3)
    fifth = user(places, "fifth")
    fifth.write({"max_batch_size": 3})
    fifth.build("-j2", MLC_JIT_POLICY="READONLY")
    assert fifth.statuses()["raw.so"] == "cached"
    assert (fifth.root / LIBRARY).read_bytes() == library


def test_of_twenty_programs_at_once_one_compiles(places: Path, first: User) -> None:
    """Half of them share a home, all of them the cache of this machine."""
    users = [user(places, "sixth"), user(places, "seventh")]
    for each in users:
        each.environ["MLCX_CACHE_DIR"] = str(places / "machine")
    model = str(first.root / "dist/bundle/raw")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, model, "4", "cpu"],
            env=users[number % 2].environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(20)
    ]
    said = [each.communicate(timeout=900) for each in running]
    assert [each.returncode for each in running] == [0] * 20
    log = "".join(err for _, err in said)
    assert log.count("Making, by compile:") == 1
    files = {Path(out.splitlines()[0]) for out, _ in said}
    assert len(files) == 2
    assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.skipif(bool(LACKS), reason=LACKS)
def test_libraries_for_the_web_are_shared_both_ways(places: Path) -> None:
    """With the runtime in them, which takes minutes and is compiled by nobody else."""
    pytest.importorskip("obstore")
    first = user(places, "web/first", WebUser)
    made = kept()
    (first.home / "web_runtime").mkdir(parents=True)
    shutil.copy(made, first.home / "web_runtime")
    first.build("-j2")
    second = user(places, "web/second", WebUser)
    shutil.copytree(first.root / "dist/bundle", second.root / "dist/bundle")
    library, loaded = second.jit(2, MLC_JIT_POLICY="READONLY")
    assert library == (first.root / "dist/lib/raw.wasm").read_bytes()
    assert not loaded & {"tvm", "tvm_ffi", "numpy", "SCons"}
    assert (second.home / "web_runtime" / made.name).read_bytes() == made.read_bytes()
    alone = {"MLCX_CACHE_DIR": "none", "MLCX_CACHE_URL": "none"}
    again, _ = second.jit(2, MLC_JIT_POLICY="REDO", **alone)
    assert again == library, "what a program compiles is what a build does"
    library, _ = first.jit(3)
    third = user(places, "web/third", WebUser)
    third.write({"max_batch_size": 3})
    third.build("-j2", MLC_JIT_POLICY="READONLY")
    found = third.statuses()
    assert found["runtime.o"] == found["raw.wasm"] == "cached"
    assert (third.root / "dist/lib/raw.wasm").read_bytes() == library
    assert not (third.home / "web_runtime").exists()
