"""Object stores by URL: a folder, a web server, and S3 as moto's server speaks it."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlcx.errors import UsageError
from mlcx.store import objects
from mlcx.store.objects import ObjectStore

pytest.importorskip("obstore")


class _Web(http.server.BaseHTTPRequestHandler):
    """A web server that keeps what is PUT."""

    files: dict[str, bytes]

    def do_PUT(self) -> None:
        self.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201)

    def do_GET(self) -> None:
        self._answer(200 if self.path in self.files else 404)

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        self.files.pop(self.path, None)
        self._answer(204)

    def _answer(self, status: int) -> None:
        body = self.files.get(self.path, b"") if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    handler = type("Handler", (_Web,), {"files": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/cache"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Start a server of S3 on loopback, and make a bucket."""
    pytest.importorskip("moto", reason="needs the extra cache-test")
    pytest.importorskip("flask", reason="needs the extra cache-test")
    log = (tmp_path / "moto.log").open("w+")
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        endpoint = _endpoint(tmp_path / "moto.log")
        request = urllib.request.Request(f"{endpoint}/bucket", method="PUT")
        urllib.request.urlopen(request).close()
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield "s3://bucket/some/prefix"
    finally:
        process.kill()
        process.wait()
        log.close()


def _endpoint(log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if "Running on http" in line:
                return line.split("Running on ")[1].strip()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(params=["file", "web", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/shared"
    found: str = request.getfixturevalue(request.param)
    return found


def content(store: ObjectStore, name: str) -> bytes | None:
    found = store.read(name)
    return None if found is None else b"".join(found)


def test_the_first_one_that_writes_wins(url: str, tmp_path: Path) -> None:
    store = ObjectStore(url)
    assert content(store, "entries/a") is None
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    store.write("entries/a", b"one")
    store.write("entries/a", b"two")
    store.write("content/b", tmp_path / "file")
    again = ObjectStore(url)
    assert content(again, "entries/a") == b"one"
    assert content(again, "content/b") == b"x" * 3_000_000
    again.remove("entries/a")
    again.remove("entries/a")
    assert content(store, "entries/a") is None


def test_of_writers_at_once_one_wins(url: str) -> None:
    if url.startswith("http"):
        pytest.skip("a web server knows no conditions")
    store = ObjectStore(url)
    values = [str(number).encode() * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: store.write("entries/a", value), values))
    assert content(store, "entries/a") in values


def test_a_server_that_refuses_is_reported_in_one_line() -> None:
    store = ObjectStore("http://user:secret@127.0.0.1:9/cache")
    with pytest.raises(OSError, match="127") as raised:
        store.write("entries/a", b"x")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("wrong", ["ftp://host/x", "bucket", "s3://", ""])
def test_a_url_of_another_kind_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"^cache "):
        ObjectStore(wrong)


def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(objects.importlib, "import_module", absent)
    with pytest.raises(UsageError, match=r"pip install 'mlcx\[cache\]'"):
        ObjectStore("s3://bucket")
