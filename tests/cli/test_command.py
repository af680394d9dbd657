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


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (
            "pln",
            "mlcx: unknown verb 'pln': did you mean 'plan'? Expected one of init, ",
        ),
        ("gen-config", "mlcx: unknown verb 'gen-config': did you mean 'gen_config'?"),
        ("chat", "mlcx: there is no verb 'chat' yet: mlcx generate answers a prompt\n"),
    ],
)
def test_a_verb_that_there_is_not_is_guessed(
    verb: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--help"]) == 2
    assert capsys.readouterr().err.startswith(said)
