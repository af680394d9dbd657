"""A signal stops the steps of every build of the process."""

import subprocess
import sys

SCRIPT = """
import os, signal, threading
from mlcx.scons.interrupts import interrupts

class Executor:
    def __init__(self):
        self.stopped = threading.Event()
    def stop(self):
        self.stopped.set()

signal.signal(signal.SIGTERM, lambda *_: None)
executors = [Executor(), Executor()]
for each in executors:
    interrupts().stop(each)
assert not interrupts().happened
os.kill(os.getpid(), signal.SIGTERM)
assert all(each.stopped.wait(60) for each in executors)
assert interrupts().happened
"""


def test_all_executors_stop() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
