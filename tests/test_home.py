"""The user's folder is where MLC LLM has it, on each system."""

from pathlib import Path

import pytest

from mlcx.home import home


@pytest.mark.parametrize(
    ("system", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/mlc_llm"),
        ("linux", {"HOME": "/home/me", "XDG_CACHE_HOME": "/x"}, "/x/mlc_llm"),
        (
            "linux",
            {"HOME": "/home/me", "LOCALAPPDATA": "/l"},
            "/home/me/.cache/mlc_llm",
        ),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/.cache/mlc_llm"),
        ("win32", {"LOCALAPPDATA": "/l", "XDG_CACHE_HOME": "/x"}, "/l/mlc_llm"),
        ("win32", {"HOME": "/u"}, "/u/AppData/Local/mlc_llm"),
        ("win32", {"LOCALAPPDATA": "/l", "MLC_LLM_HOME": "/own"}, "/own"),
    ],
)
def test_the_folder_is_that_of_mlc(
    monkeypatch: pytest.MonkeyPatch, system: str, environ: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    assert home(environ) == Path(expected)
