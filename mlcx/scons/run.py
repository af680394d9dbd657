"""SCons as verbs run it: in the process of the verb, or in one that ends with it.

So whoever kills a verb kills SCons, and the steps that run at that moment end with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import SCons.Script

from mlcx import interpreter
from mlcx.scons import ending
from mlcx.scons.interrupts import interrupts
from mlcx.scons.script import NO_SITE

__all__ = ["run", "run_beside"]


def run(script: str, options: Sequence[str]) -> int:
    """Let SCons read our own ``script``, do what ``options`` say, and return a status.

    Returns:
        What a verb exits with: 0 done, 1 failed, 2 wrong usage or wrong input, 128
        and its number after a signal. What is left to do at exit may still end the
        process with another one than 0.
    """
    path = Path(__file__).with_name(script)
    # Without code of the folder that is built in: nobody said that SCons runs there.
    sys.argv = ["scons", "-f", str(path), "-Q", NO_SITE, *options]
    ending.of_a_verb()
    interrupts()  # from now on
    try:
        SCons.Script.main()
    except SystemExit as end:
        return ending.status(end.code)
    return 0


def run_beside(
    script: str,
    options: Sequence[str],
    environ: Mapping[str, str],
    output: int | None = None,
) -> int:
    """Do what ``run`` does in another process, with ``environ`` around it.

    It is interrupted when this one ends, however that happens: its standard input
    comes from here. Signals to end are handed on to it, so that it can stop its steps.

    Args:
        script: As of ``run``.
        options: As of ``run``.
        environ: All of its environment.
        output: What ``subprocess`` takes for its standard output.
    """
    command = [*interpreter.command("mlcx.scons.run"), script, *options]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=output
    ) as process:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [
            signal.signal(number, lambda number, _: process.send_signal(number))
            for number in numbers
        ]
        try:
            return process.wait()
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def _end_with_the_other() -> None:
    """Interrupt this process when nobody holds the other end of its input any more."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    sys.exit(run(sys.argv[1], sys.argv[2:]))
