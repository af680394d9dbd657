"""``mlcx lock`` pins what specs name, and drops what none of a folder names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub import StandIn

from mlcx.__main__ import main

from .conftest import mlc

LOCK = Path("mlcx.lock.json")


def write(*models: str, name: str = "mlc-package-config.json") -> None:
    entries = [
        {"model": f"HF://{each}", "model_id": f"m{n}"} for n, each in enumerate(models)
    ]
    Path(name).write_text(json.dumps({"device": "cpu", "model_list": entries}))


def locked() -> set[str]:
    return set(json.loads(LOCK.read_text())["models"])


@pytest.fixture(autouse=True)
def _models(hub: StandIn) -> None:
    hub.add("user/other", {**mlc(), "tokenizer.json": b"[]"})


def test_what_no_spec_of_the_folder_names_is_dropped(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    write("user/mlc", "user/other")
    assert main(["lock"]) == 0
    assert locked() == {"user/mlc", "user/other"}
    write("user/mlc")
    hub.log.clear()
    capsys.readouterr()
    assert main(["lock"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"{LOCK}: HF://user/other is dropped, no spec here names it"
    assert locked() == {"user/mlc"}
    assert not hub.log


@pytest.mark.parametrize("broken", [False, True])
def test_what_another_spec_of_the_folder_names_stays(broken: bool) -> None:
    write("user/mlc", "user/other")
    assert main(["lock"]) == 0
    write("user/mlc")
    write("user/other", name="another.json")
    if broken:
        Path("another.json").write_text('{"model": "HF:\\/\\/user\\/other", // see')
    assert main(["lock"]) == 0
    assert locked() == {"user/mlc", "user/other"}


def test_checking_says_what_locking_would_do(
    hub: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    write("user/mlc")
    assert main(["lock", "--check"]) == 1
    assert capsys.readouterr().out == (
        f"{LOCK}: HF://user/mlc is not pinned: run mlcx lock\n"
    )
    assert not LOCK.exists()
    assert not hub.log
    assert main(["lock"]) == 0
    before, _ = LOCK.read_bytes(), hub.log.clear()
    assert main(["lock", "--check"]) == 0
    write("user/other")
    capsys.readouterr()
    assert main(["lock", "--check"]) == 1
    assert capsys.readouterr().out == (
        f"{LOCK}: HF://user/other is not pinned: run mlcx lock\n"
        f"{LOCK}: HF://user/mlc is named by no spec here: run mlcx lock\n"
    )
    assert LOCK.read_bytes() == before
    Path("mlc-package-config.json").rename("hf.json")
    assert main(["lock", "--check", "hf.json"]) == 1
    assert "is not pinned: run mlcx lock hf.json\n" in capsys.readouterr().out
    assert not hub.log
    assert main(["lock", "--check", "--update"]) == 2
