"""The report as Markdown and as a page, read back by parsers of their own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from mlcx.scons.documents import write
from mlcx.scons.report import About, Result, Row, Run
from mlcx.scons.timeline import timeline

from .project import Project

ODD = "dist/lib/<script>alert(1)</script>|`x`.so"
VOID = {"meta", "input", "line"}


class Page(HTMLParser):
    """The elements of a page; fails when they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag == "td":
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1][-1] += data


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


def test_the_page_says_of_each_job_what_it_was_and_is(tmp_path: Path) -> None:
    page = Page(written(tmp_path)[1])
    first, second, third = page.cells[1:]
    said = [" ".join(cell.split()) for cell in first]
    assert said[:6] == ["built", "compile", ODD, "one", "q4f16_1", said[5]]
    assert said[6:9] == [
        "2.00 s was 4.00 s, \N{MINUS SIGN}50 %",
        "3 kB was 1 kB, +200 %",
        "",
    ]
    assert said[9] == "b" * 12
    assert "<b>not bold</b>" in second[2]
    assert third[0].strip() == "not built"


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


def test_a_second_build_is_held_against_the_first(built: Project) -> None:
    first = built.report()["dist/lib/one.so"]
    built.edit("models/one/config.json", context_window_size=128)
    built.build("-j2")
    now = built.report()["dist/lib/one.so"]
    names = ("seconds", "bytes", "sha256", "peak_memory")
    assert now["before"] == {name: first[name] for name in names}
    assert now["started"] > first["started"]
    assert "before" not in built.report()["dist/lib/two.so"]
    page = Page((built.root / "dist/report.html").read_text())
    assert len(page.cells) == 12
    assert len([tag for tag, _ in page.tags if tag == "rect"]) == 6
