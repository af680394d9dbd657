"""``__all__`` names what a module defines for others, no more and no less."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlcx

ROOT = Path(mlcx.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the public names that a module's top level defines."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def declared(body: list[ast.stmt]) -> list[str] | None:
    """Return the value of ``__all__``, None when there is none."""
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


@pytest.mark.parametrize("file", FILES, ids=str)
def test_all_names_what_a_module_defines(file: Path) -> None:
    body = ast.parse((ROOT / file).read_text()).body
    names = {name for name in defined(body) if not name.startswith("_")}
    listed = declared(body)
    if listed is None:
        assert not names, "a module that defines something needs __all__"
        return
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.Module(body, []))  # also what is loaded lazily
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    dunder = {"__version__"}
    assert set(listed) - dunder <= names | imported
    assert names <= set(listed), "public, but not in __all__"
    assert len(listed) == len(set(listed))
