"""What docs/models.md says of models is so."""

import re
from pathlib import Path

from mlcx.architectures import ARCHITECTURES

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()


def test_the_page_has_a_row_of_each_architecture() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    named.remove("model_type")
    assert sorted(named) == sorted(ARCHITECTURES)
