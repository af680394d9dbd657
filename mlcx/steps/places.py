"""Where the steps of a build work for each model, of which two may have one name."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from mlcx.artifact import BUILD_NAMES
from mlcx.spec.digest import digest_json

__all__ = ["Places", "distinct", "relative"]


class Places:
    """A folder of its own for each model, below the build folder."""

    def __init__(self, build: Path) -> None:
        """Have no model yet."""
        self._build = build
        self._first: dict[str, Path] = {}

    def of(self, name: str, model: Path) -> Path:
        """Return the folder of ``model``: that of its name, unless that is taken.

        By a model that came first, or by what a build keeps there.
        Names that differ in case alone are one folder on macOS and Windows.
        """
        first = self._first.setdefault(name.lower(), model)
        is_own = first == model and name.lower() not in BUILD_NAMES
        return self._build / (name if is_own else self._apart(name, model))

    def below(self, directory: str, model: Path) -> Path:
        """Return where ``directory`` is, whose first part is the name of ``model``."""
        name, *rest = PurePosixPath(directory).parts
        return self.of(name, model).joinpath(*rest)

    def _apart(self, name: str, model: Path) -> str:
        return f"{name}-{distinct(model, self._build)}"


def distinct(model: Path, build: Path) -> str:
    """Return a few digits that another model hardly has.

    They are the same in every copy of a project.
    """
    return digest_json(relative(model, build))[:8]


def relative(path: Path, build: Path) -> str:
    """Return ``path`` so that it is the same in every copy of a project."""
    return Path(os.path.relpath(path, build)).as_posix()
