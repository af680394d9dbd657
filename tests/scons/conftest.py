"""Projects to build: one of which nothing is built, and one that is up to date."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .project import REPOSITORY, Project, copy_sources


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sources: an edit while tests run must not rebuild."""
    return copy_sources(REPOSITORY, tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Project:
    folder = tmp_path_factory.mktemp("template")
    made = Project(folder / "project", folder / "control", sources)
    made.create()
    made.build("-j2", MLCX_CACHE_DIR="")  # which fills one in its own home
    return made


@pytest.fixture
def project(tmp_path: Path, sources: Path) -> Iterator[Project]:
    """Return a project of which nothing is built."""
    made = Project(tmp_path / "project", tmp_path / "control", sources)
    made.create()
    yield made
    made.end()


@pytest.fixture
def built(tmp_path: Path, template: Project) -> Iterator[Project]:
    """Return a project that is up to date."""
    made = Project(tmp_path / "project", tmp_path / "control", template.sources)
    shutil.copytree(template.root, made.root)
    made.control.mkdir()
    yield made
    made.end()
