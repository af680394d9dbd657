"""One compile as a process of its own, as in a build, and what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["Taken", "compile_apart"]


class Taken(NamedTuple):
    """What a compile took, its linker's part included."""

    wall_s: float
    cpu_s: float
    """Of all its threads and processes, in user and system mode."""
    peak_mib: int
    """Largest resident size of one of its processes."""
    library_bytes: int


def compile_apart(model: str, quantization: str) -> Taken:
    """Compile ``model``, a path or a preset, for this machine's CPU.

    Raises:
        subprocess.CalledProcessError: It failed, and has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "model.so"
        command = [sys.executable, "-m", "mlcx", "compile", model]
        command += ["--quantization", quantization, "--device", "cpu"]
        command += ["-o", str(library)]
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            raise subprocess.CalledProcessError(status, command)
        return Taken(
            wall_s=round(seconds, 1),
            cpu_s=round(usage.ru_utime + usage.ru_stime, 1),
            peak_mib=usage.ru_maxrss // 1024,
            library_bytes=library.stat().st_size,
        )
