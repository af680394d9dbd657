"""A project in a folder of its own, built by real runs of SCons."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SCONSTRUCT = (REPOSITORY / "SConstruct").read_text().replace("specs/mlc-p", "mlc-p")
"""The script of this repository, for a package config that lies beside it."""
PATIENCE = 120
"""Seconds that one thing may take, on a machine with much else to do."""


class Project:
    """A folder with models "one" and "two" and a package config for both."""

    def __init__(self, root: Path, control: Path, sources: Path) -> None:
        self.root = root
        self.control = control
        self.sources = sources
        self.patience = 2 * PATIENCE
        """Seconds that a build may take."""
        self.processes: list[subprocess.Popen[str]] = []

    def create(self) -> None:
        self.control.mkdir()
        self.root.mkdir()
        root = self.root
        shutil.copytree(REPOSITORY / "site_scons", root / "site_scons")
        self.use_command(sys.executable, str(REPOSITORY / "tests/scons/verbs.py"))
        for name in ("one", "two"):
            self.add_checkpoint(name)
        self.write_spec("mlc-package-config.json", "one", "two")

    def use_command(self, *command: str) -> None:
        """Make steps run ``command`` in place of mlcx."""
        tools = 'tools=["mlc"]'
        assert tools in SCONSTRUCT
        text = SCONSTRUCT.replace(tools, f"{tools}, MLCX={command}")
        (self.root / "SConstruct").write_text(text)

    def add_checkpoint(self, name: str) -> Path:
        folder = self.root / "models" / name
        folder.mkdir(parents=True)
        sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
        sizes |= {"vocab_size": 9, "intermediate_size": 8, "context_window_size": 64}
        config = {"model_type": "llama", "rms_norm_eps": 1e-5, "name": name, **sizes}
        write_json(folder / "config.json", config)
        write_json(folder / "generation_config.json", {"temperature": 0.5})
        write_json(folder / "tokenizer.json", {"vocab": ["a", "b"]})
        (folder / "model.safetensors").write_bytes(name.encode() * 1000)
        return folder

    def write_spec(self, file: str, *models: str, **more: object) -> None:
        entries = [
            {
                "model": f"models/{name}",
                "model_id": name,
                "quantization": "q4f16_1",
                "conv_template": "chatml",
                "bundle_weight": True,
                **more,
            }
            for name in models
        ]
        write_json(self.root / file, {"device": "cpu", "model_list": entries})

    @property
    def environ(self) -> dict[str, str]:
        """What the processes of a build see besides what all see."""
        return {
            "STAND_IN": str(self.control),
            "PYTHONPATH": str(self.sources),
            "MLC_LLM_HOME": str(self.control / "home"),
        }

    def start(
        self,
        *args: str,
        command: Sequence[str] = (sys.executable, "-m", "SCons"),
        **environ: str,
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command, *args],
            cwd=self.root,
            env={**os.environ, **self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def scons(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, **environ)
        out, err = process.communicate(timeout=self.patience)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def build(self, *args: str, **environ: str) -> list[str]:
        """Build, and return the verbs and outputs that ran, sorted."""
        self.forget_calls()
        done = self.scons(*args, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.calls()

    def forget_calls(self) -> None:
        (self.control / "calls").unlink(missing_ok=True)

    def calls(self) -> list[str]:
        path = self.control / "calls"
        return sorted(path.read_text().splitlines()) if path.exists() else []

    def order(self, name: str, *outputs: str) -> None:
        """Make the steps whose output contains one of ``outputs`` fail or hang."""
        (self.control / name).write_text("".join(f"{each}\n" for each in outputs))

    def files(self) -> dict[str, bytes]:
        """Return what a build made, without what says when."""
        folders = (self.root / "dist", self.root / "build")
        found = (path for folder in folders for path in folder.rglob("*"))
        own = {"report.json", "report.md", "report.html", "journal.jsonl"}
        told = [self.root / "build" / name for name in ("facts", "inputs", "standing")]
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in found
            if path.is_file() and path.name not in own and path.suffix != ".log"
            if not any(map(path.is_relative_to, told))
        }

    def report(self) -> dict[str, dict[str, object]]:
        rows = json.loads((self.root / "dist/report.json").read_text())["jobs"]
        return {row["target"]: row for row in rows}

    def edit(self, file: str, **fields: object) -> None:
        path = self.root / file
        value, made = json.loads(path.read_text()), int(path.stat().st_mtime)
        # SCons tells files of one size apart by whole seconds.
        wait_for(lambda: time.time() >= made + 1)
        write_json(path, {**value, **fields})


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def is_running(process: int) -> bool:
    """Whether a process of that number is there, and has not ended."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # by now, or nothing tells
        return not Path("/proc/self/stat").exists()
    return state != "Z"


def copy_sources(origin: Path, folder: Path) -> Path:
    """Copy what a build loads of mlcx to ``folder``, for ``PYTHONPATH``."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(origin / "mlcx", folder / "mlcx", ignore=ignored)
    (folder / "schemas").symlink_to(REPOSITORY / "schemas")
    return folder
