"""The command line as a whole: its help, and verbs that there are not."""

from __future__ import annotations

import re
from pathlib import Path

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


NO_SPEC = "there is no mlc-package-config.json and no specs/mlc-package-config.json: "


@pytest.mark.parametrize("verb", ["package", "lock", "plan", "explain"])
def test_verbs_find_the_usual_spec_in_the_same_places(
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([verb]) == 2
    assert capsys.readouterr().err.startswith(f"mlcx: {NO_SPEC}")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/mlc-package-config.json").write_text("{")
    assert main([verb]) == 2
    assert capsys.readouterr().err.startswith("specs/mlc-package-config.json:1:2: ")


@pytest.mark.parametrize(
    "words",
    [
        ["deliver", "release.json"],
        ["deliver", "--spec", "release.json", "-o", "out"],
        ["plan", "release.json", "-o", "out"],
        ["explain", "--spec", "release.json", "-o", "out"],
    ],
)
def test_verbs_take_specs_and_folders_alike(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("release.json: there is no such file")
