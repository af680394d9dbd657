"""What a run reads of files that its steps wrote."""

import json
from pathlib import Path

import pytest

from mlcx.report.run import figures_in


def test_figures_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "quality.json"
    file.write_text(json.dumps({"figures": {"kl": 0.5}}))
    assert figures_in(file) == {"kl": 0.5}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"figures": 1}'])
def test_a_damaged_file_has_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "quality.json"
    file.write_text(text)
    assert figures_in(file) is None
    assert figures_in(tmp_path / "absent.json") is None
