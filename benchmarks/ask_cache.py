"""What it costs to ask a cache that is far away, for a plan and for a build.

Recipe: ``python benchmarks/ask_cache.py [--jobs N] [--delay SECONDS]`` on a machine
with a C compiler, N up to 100. A delivery of --jobs libraries, and as many normalized
configs, is built once by a program in C that writes its output, and stored by a web
server on loopback that answers each request --delay seconds late. Then, with nothing
built and no cache on this machine, ``scons -n`` and ``mlcx plan`` ask the server for
all keys, and ``scons -j8`` takes everything.

Prints, as JSON, the seconds of each, with and without the cache, and how many requests
the server got, and how many of them at once.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

import null_build


class Far(http.server.BaseHTTPRequestHandler):
    """Keeps what is PUT, and answers late."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    delay = 0.0
    files: ClassVar[dict[str, bytes]] = {}
    guard = threading.Lock()
    asked = now = most = 0

    def do_PUT(self) -> None:
        """Keep what comes."""
        self.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, b"")

    def do_GET(self) -> None:
        """Answer late."""
        own = type(self)
        with own.guard:
            own.asked, own.now = own.asked + 1, own.now + 1
            own.most = max(own.most, own.now)
        time.sleep(own.delay)
        content = own.files.get(self.path)
        self._answer(404 if content is None else 200, content or b"")
        with own.guard:
            own.now -= 1

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def run(folder: Path, *words: str, url: str) -> dict[str, float]:
    """Return what a command took, and what the server saw of it."""
    Far.asked = Far.most = 0
    environ = {**os.environ, "MLCX_CACHE_DIR": "none", "MLCX_CACHE_URL": url}
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = round(time.perf_counter() - begin, 2)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return {"seconds": seconds, "requests": Far.asked, "at once": Far.most}


def clean(folder: Path) -> None:
    """Remove all that was built."""
    for name in ("dist", "build", ".sconsign.dblite"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def measured(folder: Path, jobs: int, delay: float, url: str) -> dict[str, object]:
    """Fill the server, and ask it."""
    null_build.delivery_in(folder, jobs)
    run(folder, "SCons", "-Q", "-j8", url=url)
    Far.delay = delay
    commands = {
        "scons -n": ("SCons", "-Qn"),
        "mlcx plan": ("mlcx", "plan", "spec.json", "--json"),
        "scons -j8": ("SCons", "-Q", "-j8"),
    }
    found: dict[str, object] = {}
    for name, words in commands.items():
        found[name] = []
        for place in (url, "none"):
            clean(folder)
            found[name].append(run(folder, *words, url=place))
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.02)
    args = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Far)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/cache"
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), args.jobs, args.delay, url), indent=2))


if __name__ == "__main__":
    main()
