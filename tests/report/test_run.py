"""What a run reads of files that its steps wrote."""

import json
from pathlib import Path

import pytest

from mlcx.report.journal import Result, Status
from mlcx.report.run import Row, Run, figures_in, summary
from mlcx.steps.about import About


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


def judged(status: Status, ran: bool) -> Row:
    result = Result("q/one.so.json", status, log="log")
    figures = {"mean_kl": 0.5, "top1": 0.75}
    return Row("judge-quality", About("one"), result, figures, ran=ran)


def test_a_build_ends_with_what_its_libraries_have_lost() -> None:
    first, last = summary([judged("built", ran=True)], "r.json").splitlines()
    assert first == "q/one.so.json: mean KL 0.5 nats per token, top-1 75.0 %"
    assert last == "mlcx: 1 built, see r.json"


def test_what_was_measured_before_or_failed_is_not_said_again() -> None:
    assert "KL" not in summary([judged("up to date", ran=False)], "r.json")
    # The error has the numbers and the thresholds.
    assert "KL" not in summary([judged("failed", ran=True)], "r.json")


def test_a_library_and_the_verdict_on_it_fail_once() -> None:
    library = Row("compile", About("one"), Result("one.so", "cached", 0.01, 1000))
    verdict = judged("failed", ran=True)
    rows = (library.failed_by(verdict), verdict)
    assert summary(rows, "r.json").splitlines() == [
        "failed: judge-quality q/one.so.json (one): log",
        "mlcx: 1 failed, 1 beyond a threshold, see r.json",
    ]
    assert Run(0.0, 1.0, rows).counts() == {"failed": 2}
    assert Run(0.0, 1.0, rows).outcomes() == {"failed": 1, "beyond a threshold": 1}


def test_what_is_about_nothing_has_no_brackets() -> None:
    row = Row("app_config", About(), Result("app.json", "failed", error="no memory"))
    first, _ = summary([row], "r.json").splitlines()
    assert first == "failed: app_config app.json: no memory"
