"""The table at the end of a build."""

from __future__ import annotations

from mlcx.report.closing import MOST, closing
from mlcx.report.journal import Result, Status
from mlcx.report.run import Row
from mlcx.steps.about import About


def row(name: str, status: Status, seconds: float | None = None) -> Row:
    result = Result(f"dist/{name}", status, seconds, 1000)
    ran = status not in {"up to date", "not built"}
    return Row("compile", About(name), result, ran=ran)


def test_the_longest_is_first_and_what_failed_last() -> None:
    rows = [
        row("failed", "failed", 3.0),
        row("short", "built", 1.0),
        row("same", "up to date", 9.0),
        row("taken", "cached", 0.1),
        row("waiting", "not built"),
        row("long", "built", 70.0),
    ]
    assert closing(rows, None).splitlines() == [
        "step     model    status           time  size",
        "compile  long     built      1 min 10 s  1 kB",
        "compile  short    built          1.00 s  1 kB",
        "compile  taken    cached         0.10 s  1 kB",
        "compile  waiting  not built",
        "compile  failed   failed         3.00 s  1 kB",
    ]


def test_a_library_that_was_taken_and_judged_has_not_failed_to_compile() -> None:
    taken, verdict = row("one.so", "cached", 0.01), row("one.json", "failed", 2.0)
    text = closing([taken.failed_by(verdict), verdict], None)
    assert "compile  one.so    beyond a threshold  0.01 s  1 kB" in text


def test_of_many_that_went_well_the_short_ones_are_counted() -> None:
    rows = [row(f"model{number}", "built", number) for number in range(MOST + 5)]
    rows += [row(f"bad{number}", "failed", 1.0) for number in range(MOST + 5)]
    text = closing(rows, None)
    assert text.count("built") == MOST
    assert text.count("failed") == MOST + 5
    assert "model5 " in text
    assert "model4 " not in text
    assert text.endswith("and 5 steps that were shorter\n")
