"""Builds that share what they make through a server of S3, which is a real one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from s3 import BUCKET, Server, serving

from .project import Project, wait_for

pytest.importorskip("obstore")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LIBRARIES = ("dist/lib/one.so", "dist/lib/two.so")
STORED = ("compile", "normalize", "gen_config")


@dataclass
class Team:
    """People with a project and an empty cache each, and one place for all of them."""

    server: Server
    folder: Path
    sources: Path

    @property
    def prefix(self) -> str:
        return self.folder.name

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/{self.prefix}"

    def member(self, name: str) -> Project:
        made = Project(
            self.folder / name / "tree", self.folder / f"{name}-control", self.sources
        )
        made.root.parent.mkdir()
        made.create()
        return made

    def environ(self, project: Project, **more: str) -> dict[str, str]:
        own = str(project.control / "cache")
        place = {"MLCX_CACHE_DIR": own, "MLCX_CACHE_URL": self.url}
        return {**self.server.environ, **place, **more}

    def build(self, project: Project, *options: str, **more: str) -> list[str]:
        """Build, and return the warnings."""
        done = project.scons("-j2", *options, **self.environ(project, **more))
        assert done.returncode == 0, done.stdout + done.stderr
        return [line for line in done.stderr.splitlines() if "warning:" in line]

    def stored(self) -> dict[str, tuple[str, str]]:
        return self.server.listing(self.prefix)


@pytest.fixture
def team(tmp_path: Path, sources: Path) -> Iterator[Team]:
    with serving(tmp_path / "moto.log") as server:
        yield Team(server, tmp_path, sources)


def statuses(project: Project) -> dict[str, str]:
    return {target: str(row["status"]) for target, row in project.report().items()}


def ran(project: Project) -> list[str]:
    """Return the calls of steps that others could have saved."""
    return [call for call in project.calls() if call.startswith(STORED)]


def test_what_one_stores_another_plans_and_takes(team: Team) -> None:
    first, second = team.member("first"), team.member("second")
    assert team.build(first) == []
    assert len(ran(first)) == 6
    names = {name.split("/")[1] for name in team.stored()}
    assert names == {"entries", "content"}
    before = len(team.server.requests())
    planned = second.scons("-Qn", **team.environ(second)).stdout
    last = "mlcx: 6 in remote cache, 5 to build"
    assert planned.splitlines()[-1] == last
    asked = [path for _, path in team.server.requests()[before:]]
    assert len(asked) == len(set(asked)) >= 6
    assert not (second.control / "cache").exists()
    assert team.build(second) == []
    assert ran(second) == []
    assert [statuses(second)[each] for each in LIBRARIES] == ["cached"] * 2
    assert second.files() == first.files()


def test_who_only_reads_writes_nothing(team: Team) -> None:
    first, second = team.member("first"), team.member("second")
    team.build(first)
    before, count = team.stored(), len(team.server.requests())
    second.edit("models/one/config.json", context_window_size=32)
    assert team.build(second, MLCX_CACHE_READONLY="1") == []
    assert [statuses(second)[each] for each in LIBRARIES] == ["built", "cached"]
    assert team.stored() == before
    methods = {method for method, _ in team.server.requests()[count:]}
    assert methods == {"GET"}


def test_what_was_damaged_is_said_dropped_and_made_again(team: Team) -> None:
    first, second = team.member("first"), team.member("second")
    team.build(first)
    whole = (first.root / LIBRARIES[0]).read_bytes()
    contents = [name for name in team.stored() if "/content/" in name]
    (damaged,) = (name for name in contents if team.server.get(name) == whole)
    team.server.put(damaged, whole[:-1] + b"?")
    (said,) = team.build(second)
    assert f"cache {team.url}: compile one, q4f16_1, cpu is damaged: expected" in said
    assert [statuses(second)[each] for each in LIBRARIES] == ["built", "cached"]
    assert second.files() == first.files()
    assert team.server.get(damaged) == whole


def test_two_who_write_at_once_do_no_harm(team: Team) -> None:
    members = [team.member(name) for name in ("first", "second")]
    for each in members:
        each.order("slow", "compile-config.json", "dist/lib")
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(team.build, members)) == [[], []]
    assert members[0].files() == members[1].files()
    third = team.member("third")
    assert team.build(third) == []
    assert ran(third) == []
    assert third.files() == members[0].files()


def test_a_server_that_goes_costs_a_warning(team: Team) -> None:
    """In the middle of a build, and before one."""
    first, second = team.member("first"), team.member("second")
    first.order("slow", "dist/lib")
    process = first.start("-j2", **team.environ(first))
    wait_for(lambda: any("dist/lib" in call for call in first.calls()))
    team.server.end()
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    assert err.count("going on without it") == 1
    (said,) = team.build(second)
    assert said.startswith(f"mlcx: warning: cache {team.url}: ")
    assert said.endswith("going on without it")
    assert second.files() == first.files()
