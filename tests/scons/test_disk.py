from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.errors import BuildError
from mlcx.scons import disk
from mlcx.steps.requests import Request

MODEL = "model.safetensors"


def conversion(root: Path) -> Request:
    """Return the conversion of a checkpoint of 16,000 bytes, to 4,000."""
    folder = root / "checkpoint"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / MODEL).write_bytes(bytes(16_000))
    sources = (folder / "config.json", folder / MODEL)
    target = root / "build/one/model/tensor-cache.json"
    options = ("--quantization", "q4f16_1")
    return Request("convert_weight", (target,), sources, options)


def test_a_build_is_refused_with_numbers_before_it_begins(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    disk.check([request], lambda _: None, lambda _: 4000)
    with pytest.raises(BuildError) as caught:
        disk.check([request], lambda _: None, lambda _: 3000)
    assert str(caught.value) == (
        f"the disk of {tmp_path} has 3 kB left, and at least 4 kB are to be written: "
        "free 1 kB, or name folders on another disk with OUTPUT= and BUILD=\n"
        f"  4 kB by convert_weight into {request.output}"
    )


def test_what_a_step_made_before_is_what_it_will_need(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    with pytest.raises(BuildError, match="at least 5 kB"):
        disk.check([request], lambda _: 5000, lambda _: 4999)


def test_what_is_there_needs_no_room(tmp_path: Path) -> None:
    request = conversion(tmp_path)
    request.output.mkdir(parents=True)
    request.targets[0].write_text("{}")
    disk.check([request], lambda _: 5000, lambda _: 0)
