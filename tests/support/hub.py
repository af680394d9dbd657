"""Stands in for the hub on loopback, in the protocol that huggingface_hub speaks.

Which is: the list of files at ``/api/models/ID/revision/REV?blobs=true`` with sizes,
git's ids and the SHA-256 of large ones; files at ``/ID/resolve/COMMIT/NAME``, in part
when ``Range`` asks for it, large ones by a redirect, as from the hub to its CDN.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin")


@dataclass
class Faults:
    """What goes wrong; each count is used up."""

    errors: int = 0
    """Requests for files that are answered with 500."""
    cut: int = 0
    """Requests for files whose connection ends in the middle."""
    slow: float = 0.0
    """Seconds that a file's second half takes to come."""
    slow_file: str = ""
    """The one that is slow; empty: all."""
    swapped: dict[str, bytes] = field(default_factory=dict)
    """Files whose bytes are others than the list says."""
    refusal: tuple[int, str] | None = None
    """Status and error code of every answer."""
    token: str = ""
    """Who does not bear it is told that there is nothing."""


@dataclass
class StandIn:
    """A hub with repositories; ``log`` has a line for each request."""

    url: str
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    log: list[str] = field(default_factory=list)

    def add(self, name: str, files: Mapping[str, bytes]) -> str:
        """Put ``files`` at the head of ``name``; return the commit."""
        content = json.dumps(
            {key: hashlib.sha256(files[key]).hexdigest() for key in files}
        )
        commit = hashlib.sha1(content.encode()).hexdigest()
        self.repositories[name] = self.repositories[f"{name}@{commit}"] = dict(files)
        self.repositories[f"{name}#"] = {"head": commit.encode()}
        return commit

    def downloads(self) -> list[str]:
        return [
            line
            for line in self.log
            if line.startswith("GET /") and "/api/" not in line
        ]


def folder_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@contextmanager
def serving() -> Iterator[StandIn]:
    """Yield a hub that answers until the end of the block."""

    class Handler(_Handler):
        hub: StandIn

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = StandIn(f"http://127.0.0.1:{server.server_address[1]}")
    Handler.hub = hub
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        asked = self.headers.get("Range", "")
        self.hub.log.append(f"{self.command} {path} {asked}".strip())
        if self.hub.faults.refusal is not None:
            status, code = self.hub.faults.refusal
            self._answer(status, b"{}", {"X-Error-Code": code} if code else {})
        elif not self._may():
            self._answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif path.startswith("/api/models/"):
            self._list(path.removeprefix("/api/models/"))
        elif path.startswith("/cdn/"):
            self._send_file(path.removeprefix("/cdn"))
        else:
            self._file(path)

    def _may(self) -> bool:
        token = self.hub.faults.token
        # The hub's CDN knows who may by the address.
        given = self.headers.get("Authorization", "")
        return not token or "/cdn/" in self.path or given == f"Bearer {token}"

    def _list(self, rest: str) -> None:
        name, _, revision = rest.partition("/revision/")
        head = self.hub.repositories.get(f"{name}#", {}).get("head", b"").decode()
        if not head:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        commit = head if revision == "main" else revision
        files = self.hub.repositories.get(f"{name}@{commit}")
        if files is None:
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [_sibling(key, data) for key, data in files.items()]
        content = {"id": name, "sha": commit, "siblings": siblings}
        self._answer(200, json.dumps(content).encode())

    def _file(self, path: str) -> None:
        if self.hub.faults.errors:
            self.hub.faults.errors -= 1
            self._answer(500, b"oops")
        elif path.endswith(LARGE):
            # Not to another host, but as little of this one's business.
            self._answer(302, b"", {"Location": f"/cdn{self.path}"})
        else:
            self._send_file(path)

    def _send_file(self, path: str) -> None:
        name, _, rest = path.strip("/").partition("/resolve/")
        commit, _, file = rest.partition("/")
        data = self.hub.repositories.get(f"{name}@{commit}", {}).get(file)
        if data is None:
            self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        data = self.hub.faults.swapped.get(file, data)
        asked, headers = self.headers.get("Range"), {"X-Repo-Commit": commit}
        headers["ETag"] = f'"{_blob(data)}"'
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._answer(206 if asked else 200, data[start:], headers)

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        faults = self.hub.faults
        if self.command == "HEAD":
            return
        if status in {200, 206} and "X-Repo-Commit" in headers:
            half = len(body) // 2
            if faults.cut:
                faults.cut -= 1
                self.wfile.write(body[:half])
                self.close_connection = True
                return
            if faults.slow and self.path.endswith(faults.slow_file):
                self.wfile.write(body[:half])
                self.wfile.flush()
                time.sleep(faults.slow)
                body = body[half:]
        self.wfile.write(body)


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sibling(name: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"rfilename": name, "size": len(data)}
    entry["blobId"] = _blob(data)
    if name.endswith(LARGE):
        sha256 = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 134}
    return entry
