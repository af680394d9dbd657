"""The table of what was compared with independent references, and how close it came.

``pytest --table FILE`` writes it: a row for each model or golden model, a column for
each quantization. A cell says whether the converted files were equal, and the largest
difference of a logit.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["MLCX_CACHE_DIR"] = "none"
"""Builds of tests do the work, and leave the cache of who runs them alone."""

Record = Callable[[str, str, str, float], None]

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
    """Gathers what was noted, and writes it when all tests have run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, found in report.user_properties:
            if name == _PROPERTY:
                model, quantization, what, value = found
                cell = self._cells[model, quantization]
                cell[what] = max(value, cell.get(what, value))

    def pytest_sessionfinish(self) -> None:
        models, columns = ({key[n] for key in self._cells} for n in (0, 1))
        order = sorted(columns, key=lambda name: (name[:2], name[-2:], name))
        rows = [["model", *order], ["---"] * (len(order) + 1)]
        rows += [
            [model, *(_cell(self._cells.get((model, name), {})) for name in order)]
            for model in sorted(models)
        ]
        self._path.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows))


def _cell(found: dict[str, float]) -> str:
    equal = ["equal"] if found.get("bytes") else []
    logits = [f"{found['logits']:.1e}"] if "logits" in found else []
    return ", ".join(equal + logits)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="write the compared figures here")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.table is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Table(config.option.table))
