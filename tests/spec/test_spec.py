"""``mlcx.spec`` itself: what it loads, and how it reports several files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import InputError
from mlcx.spec import check, load

SPECS = Path(__file__).parents[2] / "specs"


def test_check_reports_every_file_in_the_order_given(
    write: Callable[..., str], package: Callable[..., dict[str, Any]]
) -> None:
    files = [
        write("{", "z.json"),
        write(package(), "good.json"),
        write(package(device="gpu"), "a.json"),
        "missing.json",
    ]
    assert [problem.file for problem in check(files)] == [
        "z.json",
        "a.json",
        "missing.json",
    ]


def test_load_raises_all_problems_in_the_order_of_the_text(
    write: Callable[..., str], package: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(InputError) as caught:
        load(write(package(x=1, device="gpu", y=2)))
    lines = [problem.line for problem in caught.value.problems]
    assert len(lines) == 3
    assert lines == sorted(lines)


def test_the_samples_are_valid() -> None:
    assert check(sorted(SPECS.glob("*.json"))) == []


def test_a_spec_found_valid_earlier_loads_no_validator(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], here: Path
) -> None:
    stamp = here / "stamp"
    load(write(package()), stamp)
    code = (
        "import pathlib, sys; from mlcx.spec import load;"
        f"load('spec.json', pathlib.Path({str(stamp)!r})); print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"jsonschema", "json_source_map"} & set(loaded.stdout.split())
