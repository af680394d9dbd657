from __future__ import annotations

from report_page import Page

from .project import Project


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
