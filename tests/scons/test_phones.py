"""Builds for phones: libraries that an app links as one."""

from __future__ import annotations

import json

import pytest
from small_library import macho, tar

from mlcx.toolchain import zig

from .project import Project, write_json

pytestmark = pytest.mark.skipif(zig.program() is None, reason="needs ziglang")

SPEC = "mlc-package-config.json"
ARCHIVE = "dist/lib/libmodel_iphone.a"


@pytest.fixture
def phone(project: Project) -> Project:
    """A project for an app on an iPhone."""
    path = project.root / SPEC
    write_json(path, {**json.loads(path.read_text()), "device": "iphone"})
    return project


def test_the_libraries_of_an_app_are_archived(phone: Project) -> None:
    calls = phone.build("-j2")
    assert f"static_lib {ARCHIVE}" in calls
    libraries = [phone.root / f"dist/lib/{name}.tar" for name in ("one", "two")]
    expected = b"one\ntwo\n" + b"".join(each.read_bytes() for each in libraries)
    assert (phone.root / ARCHIVE).read_bytes() == expected
    assert phone.report()[ARCHIVE]["device"] == "iphone"
    assert phone.build() == []


def test_another_library_is_archived_again(phone: Project) -> None:
    phone.build()
    overrides = {"max_batch_size": 2}
    spec = json.loads((phone.root / SPEC).read_text())
    spec["model_list"][1]["overrides"] = overrides
    phone.edit(SPEC, **spec)
    calls = [call for call in phone.build() if " dist/lib/" in call]
    assert calls == ["compile dist/lib/two.tar", f"static_lib {ARCHIVE}"]


def test_a_ready_made_library_is_archived_too(phone: Project) -> None:
    (phone.root / "ready.tar").write_bytes(tar(macho()))
    spec = json.loads((phone.root / SPEC).read_text())
    spec["model_list"][1] |= {"model_lib": "mine", "estimated_vram_bytes": 5}
    spec["model_lib_path_for_prepare_libs"] = {"mine": "ready.tar"}
    phone.edit(SPEC, **spec)
    calls = [call for call in phone.build() if " dist/lib/" in call]
    verbs = ["compile dist/lib/one.tar", "prebuilt dist/lib/mine.tar"]
    assert calls == [*verbs, f"static_lib {ARCHIVE}"]
    content = (phone.root / ARCHIVE).read_bytes()
    assert content.startswith(b"one\nmine\nlib0.o")


def test_an_estimate_that_is_too_small_is_pointed_out(phone: Project) -> None:
    spec = json.loads((phone.root / SPEC).read_text())
    spec["model_list"][1]["estimated_vram_bytes"] = 9000
    phone.edit(SPEC, **spec)
    done = phone.scons("-Q")
    # A cache of 64 tokens with 2 keys and values of 2 x 8 numbers of 2 bytes each.
    takes = 30 + 64 * 2 * 2 * 2 * 8 * 2 + 2000
    assert done.stderr == (
        f"mlcx: warning: two: estimated_vram_bytes is 9000, but two.tar takes {takes}:"
        " 30 bytes of weights, 8192 for a cache of 64 tokens and 2000 of temporaries\n"
    )
    app = json.loads((phone.root / "dist/bundle/mlc-app-config.json").read_text())
    found = [row["estimated_vram_bytes"] for row in app["model_list"]]
    assert found == [takes, 9000]
