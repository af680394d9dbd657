"""The verbs that run a whole build: ``mlcx package`` and ``mlcx deliver``."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time

import pytest
from small_library import AARCH64, X86_64, elf

from mlcx import interpreter
from mlcx.toolchain.triple import here

from .project import PATIENCE, Project, copy_sources, write_json

MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}
LIBRARY = elf(MACHINES[here().architecture])


def start(project: Project, *args: str) -> subprocess.Popen[str]:
    """Run ``mlcx`` in the project; its slow verbs are the real ones."""
    process = subprocess.Popen(
        [*interpreter.command("mlcx"), *args],
        cwd=project.root,
        env={**os.environ, **project.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    project.processes.append(process)
    return process


def mlcx(project: Project, *args: str) -> subprocess.CompletedProcess[str]:
    process = start(project, *args)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(args, process.returncode, out, err)


@pytest.fixture
def bare(project: Project) -> Project:
    """Return a project that knows nothing of SCons, with a prebuilt library."""
    (project.root / "SConstruct").unlink()
    (project.root / "lib.so").write_bytes(LIBRARY)
    for name in ("numpy.py", "json.py", "runpy.py", "site_scons/site_init.py"):
        text = f"raise SystemExit('{name} was not to run: nobody asked for it')"
        (project.root / name).write_text(text)
    model = project.root / "models/one"
    record = {"dataPath": "params_shard_0.bin", "nbytes": 3}
    write_json(model / "tensor-cache.json", {"records": [record]})
    (model / "params_shard_0.bin").write_text("abc")
    write_json(
        model / "mlc-chat-config.json",
        {"model_type": "llama", "quantization": "q4f16_1", "tokenizer_files": []},
    )
    entry = {
        "model": "models/one",
        "model_id": "one",
        "model_lib": "one_lib",
        "bundle_weight": True,
        "estimated_vram_bytes": 5,
    }
    spec = {
        "device": "cpu",
        "model_list": [entry],
        "model_lib_path_for_prepare_libs": {"one_lib": "lib.so"},
    }
    write_json(project.root / "mlc-package-config.json", spec)
    return project


def test_all_that_is_said_of_a_build_counts(bare: Project) -> None:
    done = mlcx(bare, "package", "--build", "between", "-o", "out", "-s", "-k")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = sorted(path.name for path in bare.root.iterdir())
    assert {"between", "out"} <= {*made}
    assert not {"build", "dist"} & {*made}
    planned = mlcx(bare, "plan", "--build", "between", "--output", "out")
    assert planned.stdout.splitlines()[-1] == "mlcx: 3 up to date"


def test_package_builds_in_a_folder_without_a_script(bare: Project) -> None:
    done = mlcx(bare, "package", "-o", "out", "-j", "2")
    assert done.returncode == 0, done.stderr
    assert (bare.root / "out/bundle/mlc-app-config.json").exists()
    assert (bare.root / "out/lib/one_lib.so").read_bytes() == LIBRARY
    again = mlcx(bare, "package", "-o", "out")
    assert again.stdout.splitlines()[-1] == "mlcx: 3 up to date, see out/report.json"
    time.sleep(1.0)  # SCons sees whole seconds
    (bare.root / "lib.so").write_bytes(LIBRARY + b"better")
    assert mlcx(bare, "package", "-o", "out").returncode == 0
    assert (bare.root / "out/lib/one_lib.so").read_bytes() == LIBRARY + b"better"


def test_package_exits_with_1_when_a_step_fails(bare: Project) -> None:
    (bare.root / "models/one/params_shard_0.bin").write_text("cut off")
    done = mlcx(bare, "package")
    assert done.returncode == 1
    assert "params_shard_0.bin: expected 3 bytes, found 7" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("package", "--package-config", "none.json"), "none.json: there is no"),
        (
            ("deliver", "--spec", "mlc-package-config.json"),
            "expected a delivery spec, found a package config",
        ),
        (("package", "--memory", "foo"), "mlcx: --memory: expected a size such as"),
        (("package", "-j", "x"), "expected a whole number from 1 on, found 'x'"),
        (("deliver", "--spec", "a", "-j", "0"), "from 1 on, found '0'"),
        (("deliver",), "--spec"),
    ],
)
def test_wrong_usage_exits_with_2(
    bare: Project, args: tuple[str, ...], message: str
) -> None:
    done = mlcx(bare, *args)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (bare.root / "dist").exists()


def test_a_build_that_depends_on_nothing_else_is_reproducible(bare: Project) -> None:
    done = mlcx(bare, "package", "-j2", "--check-reproducible")
    assert done.returncode == 0, done.stderr
    assert "mlcx: reproducible: 6 files, " in done.stdout
    assert not list(bare.root.glob("mlcx-reproducible-*"))
    assert not (bare.root / "dist").exists()


def test_a_build_that_looks_at_its_folder_is_not(bare: Project) -> None:
    folder = bare.root / "sources"  # what the steps load of mlcx, spoilt
    copy_sources(bare.sources, folder)
    place = folder / "mlcx/package/place.py"
    spoilt = "shutil.copyfile(source, temporary)"
    text = place.read_text()
    assert spoilt in text
    place.write_text(
        text.replace(
            spoilt,
            f"{spoilt}\n            if source.suffix == '.so':"
            "\n                temporary.write_text(str(Path.cwd()))",
        )
    )
    bare.sources = folder
    done = mlcx(bare, "package", "--check-reproducible")
    assert done.returncode == 1
    (kept,) = bare.root.glob("mlcx-reproducible-*")
    at = len(str(kept)) + 1  # /one and /another/and-deeper
    assert f".so: differs from byte {at} (0x{at:x}) on: 6f 6e 65 / 61 6e 6f" in (
        done.stderr
    )
    assert f"differ; both builds are in {kept}" in done.stderr


def test_a_manifest_lists_what_was_made_and_of_what(bare: Project) -> None:
    assert mlcx(bare, "package", "--manifest").returncode == 0
    dist = bare.root / "dist"
    made = json.loads((dist / "manifest.json").read_text())
    own = {"manifest.json", "report.json", "report.md", "report.html"}
    files = {str(each.relative_to(dist)) for each in dist.rglob("*") if each.is_file()}
    assert {each["name"] for each in made["subject"]} == files - own
    inputs = made["predicate"]["buildDefinition"]["resolvedDependencies"]
    named = {
        each["name"]: each["digest"]["sha256"] for each in inputs if "name" in each
    }
    library = (bare.root / "lib.so").read_bytes()
    assert named["lib.so"] == hashlib.sha256(library).hexdigest()
    assert str(bare.root) not in json.dumps(made)
    assert mlcx(bare, "verify", "dist").returncode == 0
    shard = dist / "bundle/one/params_shard_0.bin"
    shard.unlink()
    shard.write_text("abd")
    assert (
        "changed: bundle/one/params_shard_0.bin" in mlcx(bare, "verify", "dist").stderr
    )


def test_a_manifest_is_renewed_or_removed_never_wrong(bare: Project) -> None:
    assert mlcx(bare, "package", "--manifest").returncode == 0
    (bare.root / "lib.so").write_bytes(LIBRARY + b"another")
    assert mlcx(bare, "package").returncode == 0
    assert mlcx(bare, "verify", "dist").returncode == 0
    (bare.root / "models/one/params_shard_0.bin").write_text("too long")
    (bare.root / "dist/bundle/one/tensor-cache.json").unlink()
    done = mlcx(bare, "package")
    assert done.returncode == 1
    reason = "leaves out what mlc-package-config.json makes: not all was built"
    assert f"mlcx: manifest.json {reason}\n" in done.stdout
    assert "mlcx: dist/manifest.json removed: " in done.stdout
    assert not (bare.root / "dist/manifest.json").exists()
