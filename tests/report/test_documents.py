"""The report as Markdown and as a page, read back by parsers of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from report_page import Page

from mlcx.report.documents import write
from mlcx.report.journal import Result
from mlcx.report.run import Row, Run
from mlcx.report.timeline import timeline
from mlcx.steps.about import About

ODD = "dist/lib/<script>alert(1)</script>|`x`.so"


def rows() -> tuple[Row, ...]:
    about = About("one", "q4f16_1", "cpu", "context_window_size=8")
    old = Result(ODD, "built", 4.0, 1000, "aa" * 32)
    new = Result(ODD, "built", 2.0, 3000, "bb" * 32, "build/log/x y.log", None, 50.0)
    error = "```\n<b>not bold</b>"
    bad = Result("two.so", "failed", 1.0, log="l", error=error, started=52.0, lane=1)
    return (
        Row("compile", about, new, None, old, True),
        Row("compile", About("two"), bad, None, None, True),
        Row("bundle", About("two"), Result("two.json", "not built")),
    )


def written(tmp_path: Path) -> tuple[str, str]:
    write(Run(50.0, 3.0, rows()), tmp_path / "dist", tmp_path)
    texts = (
        (tmp_path / "dist" / f"report.{kind}").read_text() for kind in ("md", "html")
    )
    markdown, page = texts
    return markdown, page


def test_a_failure_is_quoted_once(tmp_path: Path) -> None:
    error = "top-1 agreement 0.75, at least 0.9 required"
    bad = Result("one.json", "failed", 1.0, error=error)
    verdict = Row("judge-quality", About(), bad)
    library = Row("compile", About("one"), Result("one.so", "built"))
    run = Run(50.0, 3.0, (library.failed_by(verdict), verdict))
    write(run, tmp_path / "dist", tmp_path)
    markdown = (tmp_path / "dist/report.md").read_text()
    head = "## failed: judge-quality `one.json`"
    assert markdown.endswith(f"\n{head}\n\n```\n{error}\n```\n")
    assert markdown.count(error) == 1
    page = (tmp_path / "dist/report.html").read_text()
    assert page.count(error) == 2  # on top, and in the row of the verdict
    assert page.count("beyond a threshold</span>") == 2


def test_a_report_that_says_the_same_of_every_job_stays(tmp_path: Path) -> None:
    folder, jobs = tmp_path / "dist", rows()[2:]

    def write_at(started: float, jobs: tuple[Row, ...]) -> dict[str, str]:
        write(Run(started, started / 10, jobs), folder, tmp_path)
        return {path.name: path.read_text() for path in folder.iterdir()}

    first = write_at(50.0, jobs)
    assert len(first) == 3
    assert write_at(60.0, jobs) == first
    for number, name in enumerate(first):
        (folder / name).unlink()
        again = write_at(70.0 + number, jobs)
        assert again["report.json"] != first["report.json"]
        first = again
    (folder / "report.json").write_text("no report")
    assert write_at(80.0, jobs)["report.html"] != first["report.html"]
    other = replace(jobs[0].result, status="up to date")
    changed = write_at(90.0, (replace(jobs[0], result=other),))
    assert all("up to date" in text for text in changed.values())


def test_the_page_says_of_each_job_what_it_was_and_is(tmp_path: Path) -> None:
    page = Page(written(tmp_path)[1])
    first, second, third = page.cells[1:]
    said = [" ".join(cell.split()) for cell in first]
    assert said[:6] == ["built", "compile", f"{ODD} log", "one", "q4f16_1", said[5]]
    assert said[6:9] == [
        "2.00 s was 4.00 s, \N{MINUS SIGN}50 %",
        "3 kB was 1 kB, +200 %",
        "",
    ]
    assert said[9] == "b" * 12
    assert "<b>not bold</b>" in second[2]
    assert third[0].strip() == "not built"


def test_what_a_library_has_lost_is_beside_its_verdict(tmp_path: Path) -> None:
    result = Result("quality/one.so.json", "built")
    verdict = Row("judge", About("one"), result, {"mean_kl": 0.02169, "top1": 0.9473})
    write(Run(50.0, 3.0, (verdict,)), tmp_path, tmp_path)
    said = "mean KL 0.0217 nats per token, top-1 94.7 %"
    assert f"`quality/one.so.json`: {said} |" in (tmp_path / "report.md").read_text()
    assert said in (tmp_path / "report.html").read_text()


def test_the_page_needs_no_other_file_and_runs_nothing_foreign(tmp_path: Path) -> None:
    text = written(tmp_path)[1]
    page = Page(text)
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 1
    assert not [tag for tag, _ in page.tags if tag in {"link", "img", "iframe"}]
    assert not [attrs for _, attrs in page.tags if "src" in attrs]
    assert not re.search(r"https?://|@import|url\(", text)
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert links == {"../build/log/x%20y.log", "../l"}


def test_markdown_keeps_every_job_in_one_row(tmp_path: Path) -> None:
    markdown = written(tmp_path)[0]
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {9}
    assert "4.00 s → 2.00 s" in lines[2]
    assert "````\n```\n<b>not bold</b>\n````" in markdown


def test_bars_stand_in_lanes_where_their_steps_ran() -> None:
    found = timeline(rows())
    assert found.lanes == 2
    places = [(round(bar.left, 3), bar.lane) for bar in found.bars]
    assert places == [(0.0, 0), (66.667, 1)]
    assert [round(bar.width, 3) for bar in found.bars] == [66.667, 33.333]
    assert found.ticks[0] == (0.0, "0 s")
    assert timeline(rows()[2:]).bars == ()
