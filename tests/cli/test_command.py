"""The command line as a whole: its help, and verbs that there are not."""

from __future__ import annotations

import re

import pytest

from mlcx.__main__ import main
from mlcx.cli import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_a_default_once_and_only_what_says_something(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    arguments = re.split(r"\n  (?=\S)", capsys.readouterr().out)
    for each in (" ".join(argument.split()) for argument in arguments):
        assert each.count("default:") <= 1, each
        assert not re.search(r"default: *(\[\]|None|False|\))", each), each
