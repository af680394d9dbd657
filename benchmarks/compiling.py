"""One compile as a process of its own, as in a build, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mlcx.spec.devices import DEVICES

__all__ = ["Taken", "compile_apart"]


_LAUNCH = """
import json, resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))
sys.exit(status)
"""
"""Starts a compile from a small process: Linux counts to a process's largest size that
of the one that started it."""


class Taken(NamedTuple):
    """What a compile took, its linker's part included."""

    wall_s: float
    cpu_s: float
    """Of all its threads and processes, in user and system mode."""
    peak_mib: int
    """Largest resident size of one of its processes."""
    library_bytes: int


def compile_apart(
    model: str,
    quantization: str,
    device: str = "cpu",
    options: Sequence[str] = (),
    output: Path | None = None,
) -> Taken:
    """Compile ``model``, a path or a preset, by ``mlcx compile``.

    Args:
        model: What to compile.
        quantization: Name of its scheme.
        device: What for; a preset.
        options: Further ones of the command.
        output: Library to write; None: it is not kept.

    Raises:
        subprocess.CalledProcessError: It failed, and has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = output or Path(folder) / f"model{DEVICES[device].suffix}"
        command = [sys.executable, "-m", "mlcx", "compile", model]
        command += ["--quantization", quantization, "--device", device]
        command += [*options, "-o", str(library)]
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCH, *command],
            stdout=subprocess.PIPE,
            check=False,
        )
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command)
        cpu, peak = json.loads(done.stdout)
        return Taken(
            wall_s=round(seconds, 1),
            cpu_s=round(cpu, 1),
            peak_mib=peak // 1024,
            library_bytes=library.stat().st_size,
        )
