"""Products that were written to, or rot: seen by the next build, and made anew."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import md5
from pathlib import Path

from mlcx.__main__ import main

from .project import Project, write_json


def flip(path: Path) -> None:
    """Change a byte of a file that may be read-only; its size stays."""
    data, rights = bytearray(path.read_bytes()), path.stat().st_mode
    data[0] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data[:1])
    path.chmod(rights)


def test_a_library_that_was_altered_is_made_anew_and_never_listed(
    built: Project,
) -> None:
    built.build("MANIFEST=1")
    library, manifest = (
        built.root / "dist/lib/one.so",
        built.root / "dist/manifest.json",
    )
    clean, listed = built.files(), manifest.read_bytes()
    flip(library)
    done = built.scons("MANIFEST=1", MLCX_CACHE_DIR="")
    assert done.returncode == 0, done.stderr
    reason = "dist/lib/one.so changed since it was made"
    assert f"mlcx: {reason}: making it again\n" in done.stdout
    assert "up to date" in done.stdout
    assert manifest.read_bytes() == listed
    assert main(["verify", str(built.root / "dist")]) == 0
    assert built.files().keys() == clean.keys()
    assert built.build("MANIFEST=1") == []


def test_a_shard_that_rots_is_converted_and_bundled_anew(built: Project) -> None:
    before = built.files()
    bundled = built.root / "dist/bundle/one/params_shard_1.bin"
    shutil.rmtree(bundled.parent)
    built.build()  # which links the shards again
    shard = built.root / "build/one/model/params_shard_1.bin"
    seen = shard.stat()
    flip(shard)
    # As if nobody had written to it.
    os.utime(shard, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    ran = built.build()
    linked = ["bundle dist/bundle/one"] if seen.st_nlink > 1 else []
    assert ran == [*linked, "convert_weight build/one/model"]
    assert {each: built.files()[each] for each in before} == before
    assert built.build() == []


def test_a_shard_of_a_users_own_that_rots_is_named(project: Project) -> None:
    model = project.root / "models/ready"
    model.mkdir()
    data = b"weights" * 10
    record = {"dataPath": "params_shard_0.bin", "nbytes": len(data)}
    record["md5sum"] = md5(data).hexdigest()
    (model / "params_shard_0.bin").write_bytes(data)
    write_json(model / "tensor-cache.json", {"records": [record]})
    config = json.loads((project.root / "models/one/config.json").read_text())
    chat = {"model_config": config, "quantization": "q4f16_1", "tokenizer_files": []}
    write_json(model / "mlc-chat-config.json", {"model_type": "llama", **chat})
    entry = {"model": "models/ready", "model_id": "ready", "bundle_weight": True}
    spec = {"device": "cpu", "model_list": [entry]}
    write_json(project.root / "mlc-package-config.json", spec)
    project.build()
    flip(model / "params_shard_0.bin")
    done = project.scons()
    assert done.returncode == 2
    wrong = "models/ready/params_shard_0.bin changed since it was bundled"
    assert f"mlcx: {wrong}: put the model there anew\n" in done.stderr
    (model / "params_shard_0.bin").unlink()
    (model / "params_shard_0.bin").write_bytes(data)
    assert project.build() == ["bundle dist/bundle/ready"]
    bundled = project.root / "dist/bundle/ready/params_shard_0.bin"
    assert bundled.read_bytes() == data


def test_what_a_script_does_to_a_product_is_no_alteration(project: Project) -> None:
    script = project.root / "SConstruct"
    text = script.read_text().replace("env.MLCCommandLine(", "made = env.MLCPackage(")
    sign = "lambda target, source, env: open(str(target[0]), 'ab').write(b'x') and None"
    more = f"env.AddPostAction([n for n in made if '.so' in str(n)], {sign})\n"
    script.write_text(text + more)
    project.build("MANIFEST=1")
    data = (project.root / "dist/lib/one.so").read_bytes()
    assert data.endswith(b"x")
    assert project.build("MANIFEST=1") == []
    assert (project.root / "dist/lib/one.so").read_bytes() == data
    assert main(["verify", str(project.root / "dist")]) == 0
