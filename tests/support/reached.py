"""Which modules of mlcx the command of a verb comes to, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mlcx
from mlcx.cli import VERBS

_ROOT = Path(mlcx.__file__).parent
_CLI = "mlcx.cli."


class Place(NamedTuple):
    """A name of a module; an empty one: the module itself."""

    module: str
    name: str


def reached(verb: str, apart: Container[str] = ()) -> set[str]:
    """Return the modules that ``verb`` uses something of, as ``spec/prefix``.

    Functions of ``mlcx.cli`` are followed, from one to the next, but of modules that
    are ``apart``. Others are only named: what they import is their package's affair.
    """
    function, module = verb.replace("-", "_"), f"{_CLI}{VERBS[verb].module}"
    begin = (Place(module, function), Place(module, f"{function}_arguments"))
    seen, waiting = set(begin), list(begin)
    while waiting:
        place = waiting.pop()
        if place in begin or _file(place.module) not in apart:
            found = set(_used(place)) - seen
            seen |= found
            waiting += (each for each in found if each.module.startswith(_CLI))
    return {_file(place.module) for place in seen}


def _used(place: Place) -> Iterator[Place]:
    """Yield what the function, class or constant of ``mlcx.cli`` at ``place`` uses."""
    imported, defined = _names(place.module)
    for node in defined.get(place.name, ()):
        inner = (each for each in ast.walk(node) if isinstance(each, ast.ImportFrom))
        known = imported | {name: it for each in inner for name, it in _imports(each)}
        names = (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
        for name in names:
            if name in known:
                yield known[name]
            elif name in defined:
                yield Place(place.module, name)


@cache
def _names(module: str) -> tuple[dict[str, Place], dict[str, list[ast.stmt]]]:
    """Return what ``module`` imports when it is loaded, and what it defines."""
    imported: dict[str, Place] = {}
    defined: dict[str, list[ast.stmt]] = {}
    for node in ast.parse(_path(module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            imported.update(_imports(node))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    defined.setdefault(target.id, []).append(node)
    return imported, defined


def _imports(node: ast.ImportFrom) -> Iterator[tuple[str, Place]]:
    """Yield each name that ``node`` imports from mlcx, and what it is."""
    module = node.module or ""
    for alias in node.names if module.split(".")[0] == "mlcx" else ():
        full = f"{module}.{alias.name}"
        is_module = _path(full).is_file()
        place = Place(full, "") if is_module else Place(module, alias.name)
        yield alias.asname or alias.name, place


def _path(module: str) -> Path:
    below = _ROOT.joinpath(*module.split(".")[1:])
    return below / "__init__.py" if below.is_dir() else below.with_suffix(".py")


def _file(module: str) -> str:
    return _path(module).relative_to(_ROOT).with_suffix("").as_posix()
