"""The command line as a whole: its help, its exit statuses, its last words."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlcx import cli
from mlcx.__main__ import main
from mlcx.cli import check
from mlcx.errors import BuildError


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_shows_only_defaults_that_say_something(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert shown.startswith(f"usage: mlcx {verb} ")
    assert not any(f"(default: {empty})" in shown for empty in ("None", "False", ""))


@pytest.mark.parametrize("verb", cli.VERBS)
def test_no_argument_lacks_a_help(verb: str) -> None:
    module = __import__(f"mlcx.cli.{cli.VERBS[verb].module}", fromlist=["x"])
    parser = argparse.ArgumentParser()
    getattr(module, f"{verb.replace('-', '_')}_arguments")(parser)
    assert [each.dest for each in parser._actions if not each.help] == []


def test_an_unknown_verb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compil"]) == 2
    said = "mlcx: unknown verb 'compil': did you mean 'compile'? Expected one of init, "
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    "arguments",
    [["package", "-o", ""], ["deliver", "--spec", ""], ["cache", "size", "--dir", ""]],
)
def test_an_empty_path_is_not_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "expected a path, found nothing\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "mlcx: interrupted\n"),
        (OSError(28, "No space left", "/a/b"), 1, "mlcx: /a/b: No space left\n"),
        (OSError("something"), 1, "mlcx: something\n"),
        (OSError(104, "Connection reset"), 1, "mlcx: Connection reset\n"),
    ],
)
def test_what_ends_a_verb_from_outside_gives_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(check, "validate", fail)
    assert main(["validate", "x.json"]) == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("made", [RuntimeError("of it, by TVM"), BuildError("by us")])
def test_an_error_that_ctrl_c_has_become_is_still_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], made: Exception
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def fail(args: argparse.Namespace) -> int:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise made

    monkeypatch.setattr(check, "validate", fail)
    try:
        assert main(["validate", "x.json"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "mlcx: interrupted\n"


_EARLY = """
import sys

class Impatient:
    def find_spec(self, name, *_):
        if name.startswith("mlcx") and name not in ("mlcx", "mlcx.__main__"):
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
from mlcx.__main__ import main
sys.exit(main(["plan", "x.json"]))
"""


def test_ctrl_c_gives_one_line_from_the_first_import_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _EARLY], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "mlcx: interrupted\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirected", "status", "said"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        (">/dev/full", 1, "mlcx: the output cannot be written: No space left on "),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_takes_nothing_gives_one_line_at_most(
    redirected: str, status: int, said: str, unbuffered: str
) -> None:
    spec = Path(__file__).parents[1] / "specs" / "mlc-package-config.json"
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m mlcx validate "$1" {redirected}', sys.executable, spec],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == bool(said)
