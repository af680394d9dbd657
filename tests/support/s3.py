"""A server of S3 on loopback, as moto speaks it, seen from outside by plain HTTP."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

__all__ = ["BUCKET", "Server", "serving"]

BUCKET = "bucket"


class Server:
    """What answers at ``endpoint``, with one bucket."""

    def __init__(self, endpoint: str, process: subprocess.Popen[bytes], log: Path):
        self.endpoint = endpoint
        self._process, self._log = process, log

    @property
    def environ(self) -> dict[str, str]:
        """What a client's environment says to get there."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def requests(self) -> list[tuple[str, str]]:
        """Return the method and the path of each request so far."""
        found = re.findall(r'"([A-Z]+) (\S+) HTTP', self._log.read_text())
        return [(method, path) for method, path in found]

    def listing(self, prefix: str) -> dict[str, tuple[str, str]]:
        """Return the ETag and the time of each object below ``prefix``, by name."""
        text = self._ask("GET", f"?list-type=2&prefix={quote(prefix)}/").decode()
        found = {}
        for part in re.findall(r"<Contents>(.*?)</Contents>", text, re.DOTALL):
            fields = dict(re.findall(r"<(\w+)>([^<]*)</", part))
            found[fields["Key"]] = (fields["ETag"], fields["LastModified"])
        return found

    def get(self, name: str) -> bytes:
        """Return an object's content."""
        return self._ask("GET", f"/{name}")

    def put(self, name: str, content: bytes) -> None:
        """Write an object over what is there."""
        self._ask("PUT", f"/{name}", content)

    def end(self) -> None:
        """Kill the server."""
        self._process.kill()
        self._process.wait()

    def _ask(self, method: str, rest: str, content: bytes | None = None) -> bytes:
        url = f"{self.endpoint}/{BUCKET}{rest}"
        known = {"Authorization": "AWS key:secret"}
        request = urllib.request.Request(url, content, known, method=method)
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())


@contextmanager
def serving(log: Path) -> Iterator[Server]:
    """Start a server and make its bucket; it ends with the block, if not before."""
    pytest.importorskip("moto", reason="needs the extra cache-test")
    pytest.importorskip("flask", reason="needs the extra cache-test")
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        server = Server(_endpoint(log), process, log)
        server._ask("PUT", "")
        yield server
    finally:
        process.kill()
        process.wait()


def _endpoint(log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if "Running on http" in line:
                return line.split("Running on ")[1].strip()
        time.sleep(0.1)
    raise AssertionError(log.read_text())
