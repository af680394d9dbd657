from __future__ import annotations

import os
import signal
import sys
import threading

from mlcx.cli import package


def test_a_signal_reaches_the_build_and_not_its_caller() -> None:
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert package._run(command, os.environ) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
