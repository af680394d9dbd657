"""A package for the web, verified elsewhere: by mlcx, by OpenSSL and by a browser."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ..support.web import compiled

REPOSITORY = Path(__file__).parents[2]
CHROMIUM, OPENSSL = shutil.which("chromium"), shutil.which("openssl")
LIBRARY, SHARD = "lib/tales.wasm", "bundle/tales/params_shard_0.bin"
SCRIPT = """
DefaultEnvironment(tools=[])
env = Environment(tools=["mlc"])
env.MLCPackage("mlc-package-config.json")
"""
PAGE = """<!doctype html><script type="module">
const said = {};
const wanted = await (await fetch("/wanted.json")).json();
for (const [name, integrity] of Object.entries(wanted)) {
  try {
    const bytes = await (await fetch("/" + name, { integrity })).arrayBuffer();
    said[name] = bytes.byteLength;
    if (name.endsWith(".wasm")) {
      const exported = WebAssembly.Module.exports(await WebAssembly.compile(bytes));
      said[name] = exported.map((each) => each.name);
    }
  } catch (error) {
    said[name] = `${error}`;
  }
}
await fetch("/said", { method: "POST", body: JSON.stringify(said) });
</script>"""

pytestmark = [
    *compiled,
    pytest.mark.skipif(not CHROMIUM, reason="needs chromium"),
    pytest.mark.skipif(not OPENSSL, reason="needs openssl"),
]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sample for the web by SCons, in a folder of its own."""
    root = tmp_path_factory.mktemp("web")
    shutil.copytree(REPOSITORY / "site_scons", root / "site_scons")
    shutil.copytree(REPOSITORY / "specs/sample-model", root / "model")
    entry = {"model": "model", "model_id": "tales", "bundle_weight": True}
    entry |= {"quantization": "q4f16_1", "conv_template": "chatml"}
    spec = {"device": "webgpu", "model_list": [entry]}
    (root / "mlc-package-config.json").write_text(json.dumps(spec))
    (root / "SConstruct").write_text(SCRIPT)
    command = [sys.executable, "-m", "SCons", "-Q", "-j2", "MANIFEST=1"]
    done = called(*command, folder=root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist"


@pytest.fixture
def package(_made: Path, tmp_path: Path) -> Path:
    """Return a copy, in a folder that has nothing else."""
    return Path(shutil.copytree(_made, tmp_path / "site"))


def called(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def verify(folder: Path) -> tuple[int, list[str], str]:
    """Return what ``mlcx verify`` says in a folder elsewhere, without a network."""
    alone = ["unshare", "--map-root-user", "--net"]
    if called(*alone, "true", folder=folder).returncode:
        alone = []  # nobody may have a network of their own here
    command = [*alone, sys.executable, "-m", "mlcx", "verify", folder.name]
    done = called(*command, folder=folder.parent)
    return done.returncode, done.stderr.splitlines(), done.stdout


def subjects(folder: Path) -> dict[str, Any]:
    listed = json.loads((folder / "manifest.json").read_text())["subject"]
    return {each["name"]: each for each in listed}


def openssl(algorithm: str, file: Path) -> bytes:
    command = [str(OPENSSL), "dgst", f"-{algorithm}", "-binary", str(file)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_all_that_a_page_loads_has_the_integrity_that_openssl_finds(
    package: Path,
) -> None:
    found = subjects(package)
    config = json.loads((package / "bundle/tales/mlc-chat-config.json").read_text())
    bundled = ["mlc-chat-config.json", "tensor-cache.json", "params_shard_0.bin"]
    bundled += config["tokenizer_files"]
    names = {LIBRARY, "bundle/mlc-app-config.json"}
    assert set(found) == names | {f"bundle/tales/{name}" for name in bundled}
    for name, each in found.items():
        assert each["digest"]["sha256"] == openssl("sha256", package / name).hex()
        code = base64.b64encode(openssl("sha384", package / name)).decode()
        assert each["annotations"]["integrity"] == f"sha384-{code}"
    assert verify(package)[:2] == (0, [])


def test_what_is_changed_missing_or_extra_is_named(package: Path) -> None:
    content = bytearray((package / LIBRARY).read_bytes())
    content[len(content) // 2] ^= 1
    (package / LIBRARY).write_bytes(content)
    (package / SHARD).unlink()
    (package / "lib/other.wasm").write_bytes(b"\0asm")
    tokenizer = package / "bundle/tales/tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    status, lines, said = verify(package)
    assert status == 1
    assert [line.split(": ")[1:3] for line in lines] == [
        ["changed", "bundle/tales/tokenizer.json"],
        ["changed", LIBRARY],
        ["extra", "lib/other.wasm"],
        ["missing", SHARD],
    ]
    assert "4 wrong" in said


def test_a_browser_takes_what_is_whole_and_refuses_what_is_not(package: Path) -> None:
    wanted = subjects(package)
    sizes = {name: each["annotations"]["bytes"] for name, each in wanted.items()}
    said = in_a_browser(package, wanted)
    assert {"memory", "_initialize", "TVMFFIFunctionCall"} <= set(said[LIBRARY])
    assert {**said, LIBRARY: sizes[LIBRARY]} == sizes
    harmed = (LIBRARY, SHARD)
    for name in harmed:
        content = bytearray((package / name).read_bytes())
        content[-1] ^= 1
        (package / name).chmod(0o644)
        (package / name).write_bytes(content)
    said = in_a_browser(package, wanted)
    refused = {name: each for name, each in said.items() if isinstance(each, str)}
    assert refused == dict.fromkeys(harmed, "TypeError: Failed to fetch")


class _Site(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and a page that loads all of it and says what came of that."""

    wanted: bytes
    heard: queue.Queue[bytes]

    def do_GET(self) -> None:
        own = {"/": PAGE.encode(), "/wanted.json": self.wanted}
        if self.path in own:
            self._answer(200, own[self.path])
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self.heard.put(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(204, b"")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def in_a_browser(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return for each file its size, a library's exports, or why it is refused."""
    asked = {name: each["annotations"]["integrity"] for name, each in wanted.items()}
    heard: queue.Queue[bytes] = queue.Queue()
    own = {"wanted": json.dumps(asked).encode(), "heard": heard}
    site = functools.partial(type("Site", (_Site,), own), directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), site)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    profile = f"--user-data-dir={folder.parent / 'profile'}"
    page = f"http://127.0.0.1:{server.server_port}/"
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", profile, page]
    browser = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        said: dict[str, Any] = json.loads(heard.get(timeout=120))
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        server.server_close()
    return said
