from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mlcx.errors import InputError
from mlcx.runtime.model import Logits
from mlcx.runtime.quality.reference import Origin, logits_file, read, write

ORIGIN = Origin("llama", "q0f32", "cpu", "tale.txt")
WINDOWS = ((1, 2, 3), (4, 5))
ROWS = np.random.default_rng(4).normal(size=(5, 7)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "r.json"
    write(path, ORIGIN, WINDOWS, 7, iter([ROWS[:2], ROWS[2:]]))
    return path


def test_what_is_read_is_what_was_written(file: Path) -> None:
    found = read(file)
    assert (found.origin, found.windows) == (ORIGIN, WINDOWS)
    np.testing.assert_array_equal(found.logits, ROWS)
    assert isinstance(found.logits, np.memmap)


def test_a_model_that_fails_leaves_the_reference_as_it_was(file: Path) -> None:
    def failing() -> Iterator[Logits]:
        yield ROWS[:2] + 1
        raise RuntimeError

    before = {path: path.read_bytes() for path in file.parent.iterdir()}
    with pytest.raises(RuntimeError):
        write(file, ORIGIN, WINDOWS, 7, failing())
    assert {path: path.read_bytes() for path in file.parent.iterdir()} == before


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "llama"}')
    message = "config.json: /kind: expected mlcx-reference-logits, found none"
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "the logits of a reference cannot be read"),
        (lambda path: path.write_bytes(b"x"), "the logits of a reference cannot be"),
        (
            lambda path: np.save(path, ROWS[:4]),
            r"expected float32 logits of 5 tokens, found float32 \[4, 7\]",
        ),
        (
            lambda path: np.save(path, ROWS.astype(np.float64)),
            r"expected float32 logits of 5 tokens, found float64 \[5, 7\]",
        ),
    ],
)
def test_logits_that_do_not_belong_are_refused(file: Path, damage, message) -> None:
    damage(logits_file(file))
    with pytest.raises(InputError, match=message):
        read(file)


@pytest.mark.parametrize(
    "windows",
    [
        "x",
        [],
        [1, 2],
        [[1, 2, 3], []],
        [[*"abcde"]],
        [[1, 2, 3, 4, 7]],
        [[1] * 4 + [-1]],
    ],
)
def test_tokens_that_are_none_are_refused(file: Path, windows: object) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "windows": windows}))
    with pytest.raises(InputError, match="windows"):
        read(file)
