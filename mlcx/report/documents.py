"""The report of a run, three times: for programs, for a terminal and for a browser.

All three are written from the same rows. The page for browsers is one file, which needs
no other and no network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from mlcx import __version__
from mlcx.artifact import write_text
from mlcx.report.run import Row, Run
from mlcx.report.units import change, duration, size

__all__ = ["foreign", "paths", "write"]

_Shown = Callable[[float | None], str]

_HEADS = {
    "report.json": '{\n  "mlcx": ',
    "report.md": "# Build report\n",
    "report.html": "<title>Build report: ",
}
"""Name to what is found at the start of the file."""
_START = 400
"""Characters of it."""


def paths(output: Path) -> tuple[Path, ...]:
    """Return the files of the report in the folder ``output``, JSON first."""
    return tuple(output / name for name in _HEADS)


def foreign(output: Path) -> list[Path]:
    """Return files in ``output`` that have a report's name, and are none.

    One that is empty may be a report's, of a machine that has lost its power.
    """
    found = {path: _start(path) for path in paths(output)}
    return [path for path, text in found.items() if text and not _is_ours(path, text)]


def _start(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_START)
    except OSError:
        return ""


def _is_ours(path: Path, start: str) -> bool:
    return _HEADS[path.name] in start


def write(run: Run, output: Path, top: Path) -> None:
    """Write the report of ``run``, whose paths are relative to ``top``.

    One that says the same of every job stays, with the time of its own run: making the
    page takes longer than all else of a build that has nothing to do.
    """
    as_json, markdown, page = paths(output)
    text, link = _json(run), os.path.relpath(top, output)
    if markdown.exists() and page.exists() and _says(as_json, text):
        return
    write_text(markdown, _markdown(run, link))
    write_text(page, _page(run, link))
    write_text(as_json, text)  # the last, as the others are not looked into


def _says(file: Path, text: str) -> bool:
    """Whether ``file`` holds the report ``text``, but for when it was and how long."""
    try:
        known = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return _timeless(known) == _timeless(text)


def _timeless(report: str) -> list[str]:
    """Return the text of ``_json`` without its third and fourth lines, the times."""
    lines = report.split("\n", 4)
    return lines[:2] + lines[4:]


def _json(run: Run) -> str:
    """Return the head as people read it, and a line for each job."""
    head = {
        "mlcx": __version__,
        "started": round(run.started, 3),
        "seconds": round(run.seconds, 3),
        "counts": run.counts(),
    }
    above = json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}")
    encode = json.JSONEncoder(ensure_ascii=False).encode
    jobs = ",\n".join(f"    {encode(row.to_dict())}" for row in run.rows)
    return f'{above},\n  "jobs": [\n{jobs}\n  ]\n}}\n'


def _markdown(run: Run, link: str) -> str:
    counts = ", ".join(f"{count} {each}" for each, count in run.outcomes().items())
    head = f"# Build report\n\n{counts}; {_when(run)}, took {duration(run.seconds)}.\n"
    names = ("Status", "Step", "Target", "For", "Time", "Size", "Memory", "sha256")
    lines = [_line(names), "|".join(["", *["---"] * len(names), ""])]
    lines += [_line(_cells(row, link)) for row in run.rows]
    return "\n".join([head, *lines, *_failures(run), ""])


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row, link: str) -> tuple[str, ...]:
    result, before = row.result, row.before or row.result
    target = _code(result.target)
    log = f" ([log](<{link}/{result.log}>))" if result.log else ""
    measured = f": {row.measured}" if row.measured else ""
    return (
        f"**{row.outcome}**" if result.status == "failed" else result.status,
        row.verb,
        target + log.replace("|", "%7C") + measured,
        _code(str(row.about)) if str(row.about) else "",
        _compared(before.seconds, result.seconds, duration),
        _compared(before.bytes, result.bytes, size),
        size(result.peak_memory),
        _code(result.sha256[:12]) if result.sha256 else "",
    )


def _code(text: str) -> str:
    """Return ``text`` as code in a cell of a table, whatever it holds."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|").replace("\n", " ")


def _compared(old: float | None, new: float | None, shown: _Shown) -> str:
    if old is None or new is None or shown(old) == shown(new):
        return shown(new)
    return f"{shown(old)} → {shown(new)}"


def _failures(run: Run) -> Iterator[str]:
    for row in run.rows:
        if row.broke:
            error, about = row.result.error or "", str(row.about)
            fence = "`" * (3 + error.count("```"))
            yield f"\n## failed: {row.verb} {_code(row.result.target)}\n"
            yield f"{about}\n\n" * bool(about) + f"{fence}\n{error}\n{fence}"


def _when(run: Run) -> str:
    return f"{datetime.fromtimestamp(run.started).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _page(run: Run, link: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    from mlcx.report.timeline import timeline  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("mlcx.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, duration=duration)
    environment.globals.update(change=change)
    text: str = environment.get_template("report.html.j2").render(
        version=__version__,
        run=run,
        when=_when(run),
        figures=_figures(run),
        timeline=timeline(run.rows),
        link=link,
    )
    return text


def _figures(run: Run) -> Mapping[str, str]:
    """Return what there is to say of a run as a whole."""
    results = [row.result for row in run.rows]
    worked = sum(row.result.seconds or 0.0 for row in run.rows if row.ran)
    hits = sum(each.status in {"up to date", "cached"} for each in results)
    peak = max((each.peak_memory or 0 for each in results), default=0)
    return {
        "jobs": str(len(results)),
        "time": duration(run.seconds),
        "work of the steps": duration(worked),
        "reused": f"{hits} of {len(results)}",
        "size": size(sum(each.bytes or 0 for each in results)),
        "most memory of a step": size(peak or None) or "none ran",
    }
