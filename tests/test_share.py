"""What control groups leave of a machine, of both versions."""

import os
from pathlib import Path

import pytest

from mlcx.share import available, processors


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:   8000 kB\n"}


def test_a_control_group_leaves_less_than_the_machine_has(tmp_path: Path) -> None:
    assert available(tmp_path) is None
    write(tmp_path, MACHINE)
    assert available(tmp_path) == 8000 << 10
    write(tmp_path, {"proc/self/cgroup": "0::/outer/inner\n"})
    assert available(tmp_path) == 8000 << 10
    outer = {"memory.max": "6000000\n", "memory.current": "5000000\n"}
    inner = {"memory.max": "max\n", "memory.current": "5\n"}
    group = "sys/fs/cgroup/outer"
    write(tmp_path, {f"{group}/{name}": text for name, text in outer.items()})
    write(tmp_path, {f"{group}/inner/{name}": text for name, text in inner.items()})
    assert available(tmp_path) == 1_000_000
    write(tmp_path, {f"{group}/memory.stat": "anon 3\ninactive_file 250000\n"})
    assert available(tmp_path) == 1_250_000
    write(tmp_path, {f"{group}/memory.max": "100\n"})
    assert available(tmp_path) == 0


def test_control_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    write(tmp_path, MACHINE)
    write(tmp_path, {"proc/self/cgroup": "5:cpu:/\n4:memory:/of/host\n0::/\n"})
    mounted = {
        "memory.limit_in_bytes": "700000",
        "memory.usage_in_bytes": "300000",
        "memory.stat": "inactive_file 1\ntotal_inactive_file 50000\n",
    }
    top = "sys/fs/cgroup/memory"
    write(tmp_path, {f"{top}/{name}": text for name, text in mounted.items()})
    assert available(tmp_path) == 450_000


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has eight processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight")
def test_a_control_group_leaves_less_time_than_all_processors_have(
    tmp_path: Path,
) -> None:
    assert processors(tmp_path) == 8
    inner = "sys/fs/cgroup/outer/inner/cpu.max"
    write(tmp_path, {"proc/self/cgroup": "0::/outer/inner\n", inner: "max 100000\n"})
    assert processors(tmp_path) == 8
    write(tmp_path, {"sys/fs/cgroup/outer/cpu.max": "250000 100000\n"})
    assert processors(tmp_path) == 2
    write(tmp_path, {inner: "50000 100000\n"})
    assert processors(tmp_path) == 1


@pytest.mark.usefixtures("eight")
def test_processors_are_shared_by_the_first_version_too(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/cpu"
    write(tmp_path, {"proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/of/host\n"})
    write(tmp_path, {f"{group}/cpu.cfs_quota_us": "-1\n"})
    write(tmp_path, {f"{group}/cpu.cfs_period_us": "100000\n"})
    assert processors(tmp_path) == 8
    write(tmp_path, {f"{group}/cpu.cfs_quota_us": "300000\n"})
    assert processors(tmp_path) == 3
