"""One manifest for a folder into which several specs are built, one after the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mlcx.__main__ import main
from mlcx.scons.provenance import renew
from mlcx.steps.requests import Folders, Request

from .project import Project, write_json

OWN = {"manifest.json", "report.json", "report.md", "report.html"}


def listed(project: Project) -> set[str]:
    made = json.loads((project.root / "dist/manifest.json").read_text())
    return {each["name"] for each in made["subject"]}


def there(project: Project) -> set[str]:
    dist = project.root / "dist"
    found = {str(path.relative_to(dist)) for path in dist.rglob("*") if path.is_file()}
    return found - OWN


def test_what_another_spec_made_stays_listed_while_it_stays(built: Project) -> None:
    spec = {
        "tasks": [{"model_id": "one", "model": "models/one"}],
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q0f16"],
        "binary_libs_dir": "libs",
    }
    write_json(built.root / "delivery.json", spec)
    built.build("MANIFEST=1")
    alone = (built.root / "dist/manifest.json").read_bytes()
    built.build("delivery.json")
    assert listed(built) == there(built)
    assert any(name.startswith("libs/") for name in listed(built))
    assert main(["verify", str(built.root / "dist")]) == 0
    verbs = jobs(built.root / "dist/manifest.json")
    assert verbs.count("compile") == 3
    assert built.scons("-c", "delivery.json").returncode == 0
    assert (built.root / "dist/manifest.json").read_bytes() == alone
    (built.root / "dist/lib/one.so").write_text("an edit")
    done = built.scons("delivery.json", "MANIFEST=1")
    reason = "leaves out what mlc-package-config.json makes: lib/one.so is changed"
    assert f"mlcx: manifest.json {reason}\n" in done.stdout
    assert {name.partition("/")[0] for name in listed(built)} == {"libs"}


def test_what_a_spec_made_that_is_gone_is_said_or_forgotten(tmp_path: Path) -> None:
    source, folders = tmp_path / "x.so", Folders(tmp_path / "dist", tmp_path / "build")
    source.write_text("a library")
    made = [folders.output / f"{name}.so" for name in ("one", "two")]
    both = [Request("prebuilt", (target,), (source,)) for target in made]
    folders.output.mkdir()
    for target in made:
        target.write_text("a library")

    def told(spec: str, *requests: Request) -> list[str]:
        (tmp_path / spec).touch()
        asked = {spec: requests}
        return [*renew(asked, asked, folders, tmp_path)]

    told("old.json", *both)
    (tmp_path / "old.json").unlink()
    text = "lists what old.json made, which is gone: remove two.so, or make it by"
    assert told("new.json", both[0]) == [
        f"warning: manifest.json {text} another spec",
        "dist/manifest.json lists 2 files",
    ]
    assert told("new.json", *both) == ["dist/manifest.json lists 2 files"]
    assert told("new.json", both[0]) == ["dist/manifest.json lists 1 file"]


def test_a_manifest_that_is_not_made_leaves_nothing_out(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "dist", tmp_path / "build")
    reason = "is not made of what a.json makes: not all was built"
    said = list(renew({"a.json": []}, (), folders, tmp_path))
    assert said == [f"dist/manifest.json {reason}"]


def jobs(manifest: Path) -> list[str]:
    definition = json.loads(manifest.read_text())["predicate"]["buildDefinition"]
    return [each["verb"] for each in definition["externalParameters"]["jobs"]]


def test_what_lies_in_another_output_folder_is_not_missing(tmp_path: Path) -> None:
    source, said = tmp_path / "one.so", []
    source.write_text("a library")
    for name in ("dist", "more", "dist"):
        folders = Folders(tmp_path / name, tmp_path / "build")
        target = folders.output / "lib/one.so"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("a library")
        asked = {f"{name}.json": [Request("prebuilt", (target,), (source,))]}
        said += renew(asked, asked, folders, tmp_path)
    names = [f"{name}/manifest.json" for name in ("dist", "more", "dist")]
    assert said == [f"{name} lists 1 file" for name in names]
    for name in ("dist", "more"):
        shutil.rmtree(tmp_path / name / "lib")
        folders = Folders(tmp_path / name, tmp_path / "build")
        assert list(renew({}, (), folders, tmp_path))[1:] == [
            f"{name}/manifest.json removed: there is nothing that it could list"
        ]
    assert not (tmp_path / "build/listed").exists()
