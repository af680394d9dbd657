from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mlcx.reasons import standing
from mlcx.reasons.standing import FOLDER, Standing
from mlcx.signature.facts import Fact
from mlcx.steps.requests import Request

Change = Callable[[Path], object]


def asked(root: Path) -> list[Request]:
    """Return a step that converts, and one that compiles what a config says."""
    model = root / "model"
    facts = (Fact.of("TVM", {"apache-tvm": "1"}),)
    return [
        Request("convert_weight", (model / "tensor-cache.json",), (root / "weights",)),
        Request("compile", (root / "a.so",), (root / "c.json",), ("-O",), facts),
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder in which all is made."""
    (tmp_path / "model").mkdir()
    for name in ("weights", "c.json", "a.so", "signs", "model/params_shard_0.bin"):
        (tmp_path / name).write_text("text")
    records = [{"dataPath": "params_shard_0.bin", "nbytes": 4}]
    index = json.dumps({"records": records})
    (tmp_path / "model/tensor-cache.json").write_text(index)
    time.sleep(0.03)
    return tmp_path


def known(root: Path, requests: list[Request] | None = None) -> Standing:
    given = asked(root) if requests is None else requests
    return Standing(root, "spec.json", given, "code", root / "signs")


def kept(root: Path) -> Standing:
    found = known(root)
    found.look()
    found.keep()
    assert known(root).holds()
    return found


def with_old_time(name: str, text: str) -> Change:
    def change(root: Path) -> None:
        before = (root / name).stat()
        (root / name).write_text(text)
        os.utime(root / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def restored(root: Path) -> None:
    shutil.copy2(root / "c.json", root / "copy")
    (root / "copy").replace(root / "c.json")


CHANGES: dict[str, Change] = {
    "an input is edited": lambda root: (root / "c.json").write_text("next"),
    "an input is longer": lambda root: (root / "c.json").write_text("longer"),
    "an input is edited, its time restored": with_old_time("c.json", "next"),
    "an input is replaced by a copy, its time kept": restored,
    "an input is removed": lambda root: (root / "weights").unlink(),
    "an input is touched": lambda root: (root / "weights").touch(),
    "a product is edited": lambda root: (root / "a.so").write_text("next"),
    "a product is removed": lambda root: (root / "a.so").unlink(),
    "a product has another mode": lambda root: (root / "a.so").chmod(0o700),
    "a shard is removed": lambda root: (root / "model/params_shard_0.bin").unlink(),
    "a shard is cut": lambda root: os.truncate(root / "model/params_shard_0.bin", 2),
    "the signatures are removed": lambda root: (root / "signs").unlink(),
    "the signatures are edited": lambda root: (root / "signs").write_text("t"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_any_file_is_seen(root: Path, change: Change) -> None:
    kept(root)
    change(root)
    assert not known(root).holds()


def test_a_change_of_what_is_asked_for_is_seen(root: Path) -> None:
    kept(root)
    first, second = asked(root)
    others: list[list[Request]] = [
        [first],
        [first, second, replace(second, targets=(root / "b.so",))],
        [first, replace(second, verb="prebuilt")],
        [first, replace(second, options=("-O", "-g"))],
        [first, replace(second, facts=(Fact.of("TVM", {"apache-tvm": "2"}),))],
        [first, replace(second, sources=(root / "c.json", root / "weights"))],
        [replace(first, subject="a model"), second],
        [replace(first, after=second.targets), second],
    ]
    assert [known(root, each).holds() for each in others] == [False] * len(others)
    other_code = Standing(root, "spec.json", asked(root), "newer", root / "signs")
    assert not other_code.holds()
    assert known(root).holds()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 0}', "\udcff"])
def test_a_damaged_record_is_none(root: Path, text: str) -> None:
    kept(root)
    for path in (root / FOLDER).glob("*.json"):
        path.write_text(text, errors="surrogateescape")
    assert not known(root).holds()


def test_nothing_is_kept_of_what_was_edited_while_the_build_ran(root: Path) -> None:
    found = known(root)
    found.look()
    (root / "c.json").write_text("next")
    found.keep()
    assert not known(root).holds()


def test_what_a_step_made_while_the_build_ran_is_kept(root: Path) -> None:
    found = known(root)
    found.look()
    (root / "a.so").write_text("made")
    found.made(asked(root)[1])
    found.keep()
    assert known(root).holds()


def test_a_link_that_a_step_made_of_an_input_is_no_edit(root: Path) -> None:
    found = known(root)
    found.look()
    (root / "link").hardlink_to(root / "weights")
    found.keep()
    assert known(root).holds()


def test_no_file_is_trusted_that_is_not_older_than_the_look_at_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / FOLDER).mkdir()
    (root / FOLDER / "clock").touch()
    monkeypatch.setattr(standing, "write_text", lambda *_: None)  # the clock stands
    time.sleep(0.03)
    (root / "c.json").write_text("text")
    found = known(root)
    found.look()
    found.keep()
    monkeypatch.undo()
    assert not known(root).holds()


def test_other_specs_stand_until_the_signatures_change_behind_them(root: Path) -> None:
    kept(root)
    other = Standing(root, "other.json", asked(root)[:1], "code", root / "signs")
    other.look()
    (root / "signs").write_text("a build of the other spec")
    other.keep()
    assert other.holds()
    assert known(root).holds()
    (root / "signs").write_text("a build that nobody watched")
    other.look()
    other.keep()
    assert other.holds()
    assert not known(root).holds()


def test_what_a_step_was_made_from_stands_too(root: Path) -> None:
    """A record that is damaged is seen by a full look only."""

    def records(requests: Iterable[Request]) -> list[Path]:
        return [root / f"{each.targets[0].name}.record" for each in requests]

    requests = asked(root)
    for each in records(requests):
        each.write_text("whole")
    time.sleep(0.03)

    def standing() -> Standing:
        return Standing(root, "spec.json", requests, "code", root / "signs", records)

    found = standing()
    found.look()
    found.keep()
    assert standing().holds()
    records(requests)[0].write_text("damaged")
    assert not standing().holds()
