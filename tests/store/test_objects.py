"""Object stores by URL: a folder, a web server, and S3 as moto's server speaks it."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from s3 import BUCKET, Server, serving

from mlcx.__main__ import main
from mlcx.errors import UsageError
from mlcx.store import objects
from mlcx.store.cache import Cache
from mlcx.store.entry import Entry
from mlcx.store.objects import ObjectStore
from mlcx.store.remote import RemoteStore

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


@contextmanager
def serving_web(handler: type[_Web]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/cache"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def web() -> Iterator[str]:
    with serving_web(type("Handler", (_Web,), {"files": {}})) as url:
        yield url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("moto") / "log") as found:
        yield found


@pytest.fixture
def s3(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return a place of its own in the bucket."""
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}/prefix"


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


def test_what_is_there_is_put_again_without_reading_it(tmp_path: Path) -> None:
    asked: list[str] = []

    class Watched(_Web):
        files: ClassVar = {}

        def _answer(self, status: int) -> None:
            asked.append(f"{self.command} {self.path.split('/')[2]} {status}")
            super()._answer(status)

    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    entry = Entry.of("a" * 64, file, "file")
    with serving_web(Watched) as url:
        store = RemoteStore(ObjectStore(url))
        store.put(entry, file)
        assert asked.count("PUT content 201") == 1
        asked.clear()
        store.put(entry, file)
    there = ["HEAD content 200", "HEAD entries 200", "GET entries 200"]
    assert asked == [*there, "HEAD content 200"]


def test_many_texts_are_what_each_is(url: str) -> None:
    store = ObjectStore(url)
    for name in "ac":
        store.write(f"entries/{name}", name.encode())
    names = [f"entries/{name}" for name in "abcabc"]
    assert store.texts(names) == [b"a", None, b"c"] * 2
    assert store.texts([]) == []


def test_many_texts_are_asked_for_at_once() -> None:
    """A server that answers nobody before eight have asked."""
    eight = threading.Barrier(8, timeout=120)

    class Patient(_Web):
        files: ClassVar = {"/cache/entries/a": b"a"}

        def do_GET(self) -> None:
            eight.wait()
            super().do_GET()

    with serving_web(Patient) as url:
        assert (
            ObjectStore(url).texts(["entries/a", "entries/b"] * 4) == [b"a", None] * 4
        )


def test_many_texts_of_a_server_that_is_gone_are_one_error() -> None:
    store = ObjectStore("http://user:secret@127.0.0.1:9/cache")
    with pytest.raises(OSError, match="127") as raised:
        store.texts(map(str, range(50)))
    assert "secret" not in str(raised.value)


def test_the_verb_cache_looks_after_what_is_far_away(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if url.startswith("http"):
        pytest.skip("a web server lists nothing")
    monkeypatch.setenv("MLCX_CACHE_URL", url)
    objects = ObjectStore(url)
    store, sizes = RemoteStore(objects), {"1": 1000, "2": 2000, "3": 3000}
    entries = []
    for digit, size in sizes.items():
        (tmp_path / "made").write_bytes(digit.encode() * size)
        entries.append(Entry.of(digit * 64, tmp_path / "made", f"compile {digit}"))
        store.put(entries[-1], tmp_path / "made")

    def run(*words: str, status: int = 0) -> list[str]:
        assert main(["cache", *words]) == status
        return capsys.readouterr().out.splitlines()

    remote = ("--level", "remote")
    rows = [line.split() for line in run("list", "--url", url)]
    assert sorted(row[-1] for row in rows) == ["1", "2", "3"]
    assert run("size", *remote) == [f"{objects.url}: 3 entries, 6 kB"]
    would = run("prune", *remote, "--size", "0", "--dry-run")
    assert len(would) == 4
    assert len(store.stored()) == 3
    objects.remove(f"content/{entries[0].sha256}")
    objects.remove(f"content/{entries[1].sha256}")
    objects.write(f"content/{entries[1].sha256}", b"x")
    objects.write(f"entries/{'4' * 64}", b"{")
    wrong = run("verify", *remote, status=1)
    assert sorted(line.partition(": ")[2] for line in wrong[:3]) == [
        "compile 1 is gone",
        "compile 2 is damaged",
        f"the entry {'4' * 64} cannot be read",
    ]
    assert len(run("prune", *remote, "--size", "0")) == 4
    assert store.stored() == []
    assert list(objects.listed("content")) == []


def test_a_second_level_that_is_not_there_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("MLCX_CACHE_URL", raising=False)
    assert main(["cache", "list", "--level", "remote"]) == 2
    assert "set MLCX_CACHE_URL, or give --url" in capsys.readouterr().err
    assert main(["cache", "list", "--url", f"file://{tmp_path}/none"]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["cache", "list", "--url", "http://user:secret@127.0.0.1:9/c"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("mlcx: http://127.0.0.1:9/c: ")
    assert "secret" not in said
    assert said.count("\n") == 1


def test_of_writers_at_once_one_wins(url: str, tmp_path: Path) -> None:
    if url.startswith("http"):
        pytest.skip("a web server knows no conditions")
    store = RemoteStore(ObjectStore(url))
    files = [tmp_path / str(number) for number in range(8)]
    for file in files:
        file.write_bytes(file.name.encode() * 1000)

    def put(file: Path) -> None:
        store.put(Entry.of("a" * 64, file, file.name), file)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, files))
    entry = store.find("a" * 64)
    assert entry is not None
    assert store.take(entry, tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == entry.label.encode() * 1000


def test_a_server_that_refuses_is_reported_in_one_line() -> None:
    store = ObjectStore("http://user:secret@127.0.0.1:9/cache")
    with pytest.raises(OSError, match="127") as raised:
        store.write("entries/a", b"x")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_takes_nothing_is_reported_in_one_line() -> None:
    class Closed(_Web):
        files: ClassVar = {}

        def do_PUT(self) -> None:
            self._answer(403)

    with serving_web(Closed) as url:
        store = ObjectStore(url.replace("//", "//user:secret@"))
        with pytest.raises(OSError, match="403") as raised:
            store.write("entries/a", b"x")
    assert str(raised.value).startswith(f"{url}: ")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "do", "said"),
    [
        (403, lambda store: store.write("a", b"x"), "PUT: 403 Forbidden"),
        (500, lambda store: store.text("a"), "GET: 500 Internal Server Error"),
        (501, lambda store: list(store.listed("a")), "501 Not Implemented: this web s"),
        (None, lambda store: store.text("a"), "GET: Connection refused"),
    ],
)
def test_what_fails_is_said_once_without_secrets(
    answer: int | None, do: Callable[[ObjectStore], object], said: str
) -> None:
    class Refusing(_Web):
        files: ClassVar = {}

        def do_GET(self) -> None:
            self.send_error(answer or 0)  # with a body in HTML

        do_PUT = do_PROPFIND = do_GET

    with serving_web(Refusing) as url:
        place = url if answer else "http://127.0.0.1:9/cache"
        store = ObjectStore(f"{place}?sig=secret&user=me", creates=False)
        warned: list[str] = []
        with pytest.raises(OSError, match="127") as raised:
            do(store)
        Cache([RemoteStore(store)], warned.append).holds("a" * 64)
    assert str(raised.value).startswith(f"{place}?sig=…&user=…: {said}")
    assert len(str(raised.value)) < 120
    (warning,) = warned
    assert warning.count(place) == 1
    assert "secret" not in warning


def test_a_server_that_says_nothing_is_given_up_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes connections, as far as anybody can tell, and that is all."""
    monkeypatch.setattr(objects, "_SHORT", "0.3s")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        store = ObjectStore(f"http://127.0.0.1:{mute.getsockname()[1]}/cache")
        begin = time.monotonic()
        with pytest.raises(OSError, match="127"):
            store.text("entries/a")
    # Three requests, and what is waited between them.
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    "wrong",
    [
        "ftp://me:secret@host/x",
        "bucket",
        "s3://",
        "",
        "https://me:secret@[x",
        "s3://x:y",
    ],
)
def test_a_url_of_another_kind_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"^cache ") as raised:
        ObjectStore(wrong)
    assert "secret" not in str(raised.value)


def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(objects.importlib, "import_module", absent)
    with pytest.raises(UsageError, match=r"pip install 'mlcx\[cache\]'"):
        ObjectStore("s3://bucket")
