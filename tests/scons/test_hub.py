"""Models from the hub in builds: pinned first, then fetched as other files are made."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Faults, StandIn, folder_files, serving

from .project import Project, write_json


@pytest.fixture
def hub() -> Iterator[StandIn]:
    with serving() as made:
        yield made


@pytest.fixture
def remote(project: Project, hub: StandIn, tmp_path: Path) -> Project:
    """Return a project whose model "one" is on the hub."""
    models = project.root / "models"
    hub.add("user/one", folder_files(models / "one"))
    shutil.rmtree(models)
    entry = {"model": "HF://user/one", "model_id": "one", "bundle_weight": True}
    entry |= {"quantization": "q4f16_1", "conv_template": "chatml"}
    spec = {"device": "cpu", "model_list": [entry]}
    write_json(project.root / "mlc-package-config.json", spec)
    return project


def environ(hub: StandIn, tmp_path: Path, **more: str) -> dict[str, str]:
    home, own = str(tmp_path / "home"), str(tmp_path / "hf")
    return {"MLC_LLM_HOME": home, "HF_HOME": own, "HF_ENDPOINT": hub.url, **more}


def test_a_build_pins_fetches_and_is_up_to_date_without_the_hub(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    said = remote.scons("-Q", **around).stdout
    assert "fetch HF://user/one, texts  (new)\n" in said
    assert "fetch HF://user/one, weights  (new)\n" in said
    ran = [line.split()[0] for line in remote.calls()]
    once = {"gen_config", "convert_weight", "normalize", "compile", "bundle"}
    assert sorted(ran) == sorted([*once, "app_config", "fetch", "fetch"])
    lock = json.loads((remote.root / "mlcx.lock.json").read_text())
    weights = b"one" * 1000
    locked = lock["models"]["user/one"]["files"]["model.safetensors"]
    assert locked == {"sha256": hashlib.sha256(weights).hexdigest(), "size": 3000}
    shards = sorted((remote.root / "dist/bundle/one").glob("params_shard_*"))
    assert b"".join(path.read_bytes() for path in shards) == weights
    hub.log.clear()
    gone = {**around, "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert remote.build(**gone) == []
    assert not hub.log


def test_a_lock_file_is_enough_for_another_user(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    remote.build(**environ(hub, tmp_path))
    made = remote.files()
    hub.add("user/one", {"config.json": b"{}"})  # the branch goes on
    for folder in ("dist", "build"):
        shutil.rmtree(remote.root / folder)
    (remote.root / ".sconsign.dblite").unlink()
    around = environ(hub, tmp_path, MLC_LLM_HOME=str(tmp_path / "another"))
    hub.log.clear()
    plan = json.loads(run(remote, around, "plan", "mlc-package-config.json", "--json"))
    texts, weights, *others = plan["steps"]
    assert (weights["state"], weights["bytes"]) == ("to build", 3000)
    pinned = json.loads((remote.root / "mlcx.lock.json").read_text())
    files = pinned["models"]["user/one"]["files"].values()
    assert texts["bytes"] == sum(each["size"] for each in files) - 3000
    assert not hub.log
    remote.build(**around)
    assert remote.files() == made
    done = remote.report()
    assert all(done[row["target"]]["status"] == "built" for row in others)
    assert not [line for line in hub.log if "/api/" in line], "it is pinned"


def test_a_fresh_clone_takes_what_this_user_has_fetched_before(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    remote.build(**around)
    for folder in ("dist", "build"):
        shutil.rmtree(remote.root / folder)
    (remote.root / ".sconsign.dblite").unlink()
    plan = json.loads(run(remote, around, "plan", "mlc-package-config.json", "--json"))
    texts, weights, *_ = plan["steps"]
    assert {texts["state"], weights["state"]} == {"in cache"}
    assert {texts["since"], weights["since"]} == {"new"}
    assert weights["bytes"] == 3000
    (folder,) = (tmp_path / "home/model_weights/commits/user/one").glob("[!.]*")
    assert weights["level"] == str(folder)
    table = remote.scons("-n", **around).stdout.splitlines()
    assert sum(line.startswith("fetch ") and "in cache" in line for line in table) == 2
    done = remote.scons(**around)
    assert "Retrieved `HF://user/one, texts' from cache\n" in done.stdout
    assert "fetch HF" not in done.stdout
    statuses = {row["verb"]: row["status"] for row in remote.report().values()}
    assert statuses["fetch"] == "cached"
    assert statuses["convert_weight"] == "built"
    assert remote.build(**around) == []
    assert remote.report()[str(folder / "config.json")]["status"] == "up to date"


def test_what_was_fetched_before_must_still_be_so(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    remote.build(**around)
    shutil.rmtree(remote.root / "build")
    (remote.root / ".sconsign.dblite").unlink()
    (weights,) = (tmp_path / "home").rglob("model.safetensors")
    weights.write_bytes(b"two" * 1000)
    plan = json.loads(run(remote, around, "plan", "mlc-package-config.json", "--json"))
    states = {row["target"].rpartition("/")[2]: row["state"] for row in plan["steps"]}
    assert states["config.json"] == "in cache"
    assert states["fetched-weights.json"] == "to build"
    ran = [line for line in remote.build(**around) if line.startswith("fetch ")]
    assert len(ran) == 1
    assert weights.read_bytes() == b"one" * 1000


def test_models_for_which_there_is_no_room_are_not_begun(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    run(remote, around, "lock", "mlc-package-config.json")
    path = remote.root / "mlcx.lock.json"
    lock = json.loads(path.read_text())
    lock["models"]["user/one"]["files"]["model.safetensors"]["size"] = 10**14
    write_json(path, lock)
    done = remote.scons("-Q", **around)
    assert done.returncode == 1
    assert "another disk with OUTPUT=, BUILD= and MLC_LLM_HOME=\n" in done.stderr
    folder = tmp_path / "home/model_weights/commits/user/one"
    commit = lock["models"]["user/one"]["commit"]
    assert done.stderr.splitlines()[1:] == [
        f"  100 TB by fetch into {folder / commit}",
        f"  25 TB by convert_weight into {remote.root}/build/one/model",
    ]
    assert not remote.calls()
    assert not (remote.root / "build").exists()
    assert not [*folder.rglob("*.safetensors*")]


def test_a_new_commit_rebuilds_what_it_changes(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    remote.build(**around)
    files = hub.repositories["user/one"]
    hub.add("user/one", {**files, "generation_config.json": b'{"temperature": 0.9}'})
    assert remote.build(**around) == [], "it is pinned"
    run(remote, around, "lock", "mlc-package-config.json", "--update", "user/one")
    said = json.loads(run(remote, around, "explain", "--json"))["targets"]
    states = {(each["verb"], each["state"]) for each in said}
    sure = {verb for verb, state in states if state == "to build"}
    assert sure == {"fetch", "gen_config"}
    assert ("convert_weight", "perhaps") in states, "the weights are not here yet"
    ran = {line.split()[0] for line in remote.build(**around)}
    assert ran == {"fetch", "gen_config", "normalize", "bundle"}
    assert run(remote, around, "explain") == "all is up to date\n"


def test_cleaning_leaves_what_others_use(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    remote.build(**around)
    remote.scons("-c", **around)
    assert not (remote.root / "dist").exists()
    assert list((tmp_path / "home").rglob("model.safetensors"))
    hub.log.clear()
    remote.build(**around)
    assert not hub.log


def test_weights_that_were_written_to_are_fetched_again(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    remote.build(**around)
    (weights,) = (tmp_path / "home").rglob("model.safetensors")
    weights.write_bytes(b"two" * 1000)
    (ran,) = remote.build(**around)
    assert ran.startswith("fetch ")
    assert weights.read_bytes() == b"one" * 1000


def test_redo_downloads_again_and_rebuilds_nothing_else(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    around = environ(hub, tmp_path)
    remote.build(**around)
    hub.log.clear()
    ran = remote.build(**around, MLC_DOWNLOAD_CACHE_POLICY="REDO")
    assert {line.split()[0] for line in ran} == {"fetch"}
    assert hub.downloads()
    done = remote.scons(**around, MLC_DOWNLOAD_CACHE_POLICY="OFF")
    assert done.returncode != 0
    assert "MLC_DOWNLOAD_CACHE_POLICY is OFF" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE is set"),
        ("MLC_DOWNLOAD_CACHE_POLICY", "READONLY", "MLC_DOWNLOAD_CACHE_POLICY is READ"),
    ],
)
def test_without_a_lock_file_nothing_is_built_offline(
    remote: Project,
    hub: StandIn,
    tmp_path: Path,
    variable: str,
    value: str,
    reason: str,
) -> None:
    done = remote.scons(**environ(hub, tmp_path, **{variable: value}))
    assert done.returncode != 0
    assert "HF://user/one is not pinned in mlcx.lock.json, and the hub" in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not hub.log
    assert not (remote.root / "mlcx.lock.json").exists()


def test_a_damaged_lock_file_is_named(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    (remote.root / "mlcx.lock.json").write_text("{")
    done = remote.scons(**environ(hub, tmp_path))
    assert done.returncode == 2
    assert "mlcx.lock.json: is damaged" in done.stderr
    assert "mlcx lock makes it anew once it is removed" in done.stderr


def test_a_dry_run_writes_nothing(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    done = remote.scons("-n", **environ(hub, tmp_path))
    assert done.returncode == 2
    assert "not pinned yet: run mlcx lock mlc-package-config.json" in done.stderr
    assert not (remote.root / "mlcx.lock.json").exists()
    assert not hub.log


GONE = "http://127.0.0.1:9"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "endpoint", "message"),
    [
        ({"swapped": {"model.safetensors": b"no" * 1500}}, "", "not what it must be"),
        ({"swapped": {"model.safetensors": b"one"}}, "", "size 3000 but has size 3"),
        ({"errors": 1000}, "", "answers 500 for HF://user/one: try again later"),
        ({"refusal": (503, "")}, "", "503"),
        ({}, GONE, f"{GONE} cannot be reached for HF://user/one"),
    ],
)
def test_a_download_that_fails_fails_the_build_and_harms_nothing(
    remote: Project,
    hub: StandIn,
    tmp_path: Path,
    faults: dict[str, Any],
    endpoint: str,
    message: str,
) -> None:
    around = environ(hub, tmp_path)
    run(remote, around, "lock", "mlc-package-config.json")
    hub.faults = Faults(**faults)
    done = remote.scons("-k", **{**around, "HF_ENDPOINT": endpoint or hub.url})
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    kept = {path.name for path in (tmp_path / "home").rglob("*")}
    assert not kept & {"model.safetensors", "fetched-weights.json"}
    assert not list(remote.root.glob("dist/bundle/one/*"))
    hub.faults = Faults()
    remote.build(**around)
    assert (remote.root / "dist/bundle/one/tensor-cache.json").exists()
    assert remote.build(**around) == []


@pytest.mark.slow
def test_a_download_that_is_cut_or_refused_at_first_is_no_failure(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    hub.faults = Faults(errors=2, cut=2)
    remote.build(**environ(hub, tmp_path))
    weights = next((tmp_path / "home").rglob("model.safetensors"))
    assert weights.read_bytes() == b"one" * 1000


def test_what_is_only_compiled_is_fetched_without_weights(
    remote: Project, hub: StandIn, tmp_path: Path
) -> None:
    spec = {
        "tasks": [{"model_id": "one", "model": f"{hub.url}/user/one/tree/main"}],
        "default_compile_options": [{"device": "cpu"}],
        "default_quantization": ["q4f16_1"],
        "binary_libs_dir": "libs",
    }
    write_json(remote.root / "delivery.json", spec)
    ran = remote.build("delivery.json", **environ(hub, tmp_path))
    assert {line.split()[0] for line in ran} == {"fetch", "normalize", "compile"}
    assert not [line for line in hub.log if "safetensors" in line]


def run(project: Project, around: dict[str, str], *args: str) -> str:
    import os
    import subprocess
    import sys

    env = {**os.environ, **project.environ, **around}
    command = [sys.executable, "-m", "mlcx", *args]
    done = subprocess.run(
        command,
        env=env,
        cwd=project.root,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    return done.stdout
