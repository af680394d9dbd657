"""The table of what was compared with independent references, and how close it came.

``pytest --table`` keeps what the tests of a run note, and writes the tables of all that
is kept into docs/models.md: a row for each model or golden model, a column for each
quantization. Cells say whether the converted files were equal, or have the largest
difference of a logit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date

import figures
import pytest

os.environ["MLCX_CACHE_DIR"] = "none"
"""Builds of tests do the work, and leave the cache of who runs them alone."""

Record = Callable[[str, str, str, float], None]

_HELP = "keep the figures of this run, and write the table of all in docs/models.md"

_PROPERTY = "compared"
"""Properties of a test's report come home from other processes too."""


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Record:
    """Note for a model and quantization that ``what`` is ``value``; the largest stays.

    Of ``bytes``, 1 says that the files were equal; of ``logits``, the difference.
    """

    def note(model: str, quantization: str, what: str, value: float) -> None:
        record_property(_PROPERTY, (model, quantization, what, float(value)))

    return note


class _Table:
    """Gathers what was noted, keeps it, and writes the page's tables of all that is."""

    def __init__(self) -> None:
        self._found: dict[str, figures.Figure] = {}
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when != "call":
            return
        today = date.today().isoformat()
        for name, found in report.user_properties:
            if name == _PROPERTY:
                new = figures.Figure(*found, day=today)
                old = self._found.get(report.nodeid)
                self._found[report.nodeid] = figures.larger(old, new)

    def pytest_sessionfinish(self) -> None:
        kept = figures.merged(figures.read(figures.KEPT), self._found, self._failed)
        figures.write(figures.KEPT, kept)
        page = figures.put(figures.PAGE.read_text(), figures.table(kept.values()))
        figures.PAGE.write_text(page)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help=_HELP)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.table and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Table())
