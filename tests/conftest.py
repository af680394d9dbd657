"""The table of what was compared with independent references, and how close it came.

``pytest --table FILE`` writes it: a row for each architecture or golden model, a column
for each quantization. A cell says whether the converted files were equal, and the
largest difference of a logit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

Record = Callable[..., None]
_CELLS = pytest.StashKey[dict[tuple[str, str], dict[str, float]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="write the compared figures here")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_CELLS] = defaultdict(dict)


@pytest.fixture(scope="session")
def record(pytestconfig: pytest.Config) -> Record:
    """Note for a model and quantization that ``what`` is ``value``; the largest stays.

    Of ``bytes``, 1 says that the files were equal; of ``logits``, the difference.
    """
    cells = pytestconfig.stash[_CELLS]

    def note(model: str, quantization: str, what: str, value: float) -> None:
        cell = cells[model, quantization]
        cell[what] = max(value, cell.get(what, value))

    return note


def pytest_sessionfinish(session: pytest.Session) -> None:
    path, cells = session.config.option.table, session.config.stash[_CELLS]
    if path is None or not cells:
        return
    models, columns = ({key[n] for key in cells} for n in (0, 1))
    order = sorted(columns, key=lambda name: (name[:2], name[-2:], name))
    rows = [["model", *order], ["---"] * (len(order) + 1)]
    rows += [
        [model, *(_cell(cells.get((model, name), {})) for name in order)]
        for model in sorted(models)
    ]
    path.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows))


def _cell(found: dict[str, float]) -> str:
    equal = ["equal"] if found.get("bytes") else []
    logits = [f"{found['logits']:.1e}"] if "logits" in found else []
    return ", ".join(equal + logits)
