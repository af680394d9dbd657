"""``mlcx.jit``: which library it finds or makes, and when it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlcx
from mlcx.demand import steps, wanted
from mlcx.errors import BuildError, InputError, UsageError
from mlcx.signature import inputs
from mlcx.signature.facts import Fact
from mlcx.spec.devices import DEVICES
from mlcx.toolchain.needs import Lack
from mlcx.toolchain.tools import TOOLS

VERBS = Path(__file__).with_name("verbs.py")
SIZES = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "rms_norm_eps": 1e-5,
    "vocab_size": 9,
    "context_window_size": 64,
}
CONFIG = {
    "model_type": "llama",
    "quantization": "q4f16_1",
    "model_config": SIZES,
    "temperature": 0.5,
}
HOST = "--host auto --mcpu auto"
ASK = """
import signal
import sys
import mlcx
from mlcx.demand import steps
# Whoever runs tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
steps.COMMAND = (sys.executable, sys.argv[2])
print(mlcx.jit(sys.argv[1], {}, "cpu").model_lib_path)
print(*sys.modules)
"""


class Place:
    """A model, a home, and stand-ins for the verbs."""

    def __init__(self, root: Path) -> None:
        self.root, self.model = root, root / "model"
        self.home, self.temporary = root / "home", root / "temporary"
        for folder in (self.model, self.temporary, root / "control"):
            folder.mkdir()
        self.write()

    def write(self, **fields: object) -> None:
        text = json.dumps({**CONFIG, **fields})
        (self.model / "mlc-chat-config.json").write_text(text)

    def jit(self, device: str = "cpu", prefix: str | None = None, **overrides: object):
        return mlcx.jit(self.model, overrides, device, prefix)

    def order(self, name: str) -> None:
        (self.root / "control" / name).touch()

    def calls(self) -> list[str]:
        file = self.root / "control/calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def compiled(self) -> int:
        return sum(line.startswith("compile") for line in self.calls())

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", ASK, str(self.model), str(VERBS)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setenv("STAND_IN", str(tmp_path / "control"))
    monkeypatch.setenv("MLC_LLM_HOME", str(made.home))
    monkeypatch.setenv("MLC_TEMP_DIR", str(made.temporary))
    cache = ("MLCX_CACHE_DIR", "MLCX_CACHE_URL", "MLCX_CACHE_READONLY")
    for name in ("MLC_JIT_POLICY", "MLC_DSO_SUFFIX", "MLC_MULTI_ARCH", *cache):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(steps, "COMMAND", (sys.executable, str(VERBS)))
    # A stand-in takes no tools.
    real = inputs.toolchain
    monkeypatch.setattr(inputs, "toolchain", lambda *asked: (real(*asked)[0], ""))
    return made


@pytest.mark.parametrize(
    ("policy", "cached", "outcome"),
    [
        ("ON", True, "used"),
        ("ON", False, "compiled"),
        ("REDO", True, "compiled"),
        ("REDO", False, "compiled"),
        ("READONLY", True, "used"),
        ("READONLY", False, "refused"),
        ("OFF", True, "refused"),
        ("OFF", False, "refused"),
    ],
)
def test_the_policy_decides(
    place: Place,
    policy: str,
    cached: bool,
    outcome: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if cached:
        place.jit()
        place.calls()
    monkeypatch.setenv("MLC_JIT_POLICY", policy)
    if outcome == "refused":
        with pytest.raises(BuildError, match=f"MLC_JIT_POLICY is {policy}"):
            place.jit()
        assert place.compiled() == 0
        return
    assert Path(place.jit().model_lib_path).is_file()
    assert place.compiled() == (outcome == "compiled")


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [("ON", "taken"), ("READONLY", "taken"), ("REDO", "compiled"), ("OFF", "refused")],
)
def test_what_another_has_stored_is_taken_as_the_policy_says(
    place: Place, policy: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path(place.jit().model_lib_path)
    content = made.read_bytes()
    shutil.rmtree(made.parent)
    place.calls()
    monkeypatch.setenv("MLC_JIT_POLICY", policy)
    if outcome == "refused":
        with pytest.raises(BuildError, match="MLC_JIT_POLICY is OFF"):
            place.jit()
    else:
        assert Path(place.jit().model_lib_path).read_bytes() == content
    assert place.calls() == [f"compile --device cpu --opt O0 {HOST}"] * (
        outcome == "compiled"
    )


def test_without_a_cache_nothing_is_taken_and_all_works(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCX_CACHE_DIR", "none")
    made = Path(place.jit().model_lib_path)
    shutil.rmtree(made.parent)
    assert place.jit().model_lib_path == str(made)
    assert place.compiled() == 2
    assert not (place.home / "build_cache").exists()


def test_a_damaged_entry_is_logged_and_compiled_again(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    made = Path(place.jit().model_lib_path)
    content = made.read_bytes()
    made.unlink()
    for path in (place.home / "build_cache/content").glob("*/*"):
        path.write_bytes(b"damaged")
    assert Path(place.jit().model_lib_path).read_bytes() == content
    assert place.compiled() == 2
    assert "compile model, cpu is damaged: expected" in caplog.text


def test_a_cache_out_of_reach_is_logged_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("MLCX_CACHE_URL", "http://127.0.0.1:9/cache")
    assert Path(place.jit().model_lib_path).is_file()
    warned = [each for each in caplog.records if each.levelname == "WARNING"]
    assert len(warned) == 1
    assert "going on without it" in warned[0].getMessage()


def test_a_library_lies_below_the_home_by_its_key(place: Place) -> None:
    found = Path(place.jit().model_lib_path)
    assert found.parent == place.home / "model_lib"
    assert len(found.stem) == 32
    assert list(place.temporary.iterdir()) == []


def test_opt_is_taken_from_overrides_that_stay_as_they_are(place: Place) -> None:
    overrides = {"opt": "O0", "context_window_size": 32, "max_batch_size": None}
    before = dict(overrides)
    first = mlcx.jit(place.model, overrides, "cuda")
    assert overrides == before
    assert place.calls() == [
        "normalize --overrides context_window_size=32",
        f"compile --device cuda --opt cudagraph=0 {HOST}",
    ]
    assert mlcx.jit(place.model, {**overrides, "opt": "O2"}, "cuda") != first


def test_what_does_not_matter_finds_the_same_library(
    place: Place, tmp_path: Path
) -> None:
    first = place.jit()
    place.write(temperature=0.9)
    assert place.jit() == first
    assert place.jit(opt="O3") == first
    moved = place.model.rename(tmp_path / "elsewhere")
    assert mlcx.jit(moved, {}, "cpu") == first
    assert mlcx.jit(str(moved), {}, "cpu:0", skip_log_jit_policy=True) == first
    assert place.compiled() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"model_config": {**SIZES, "hidden_size": 16}},
        {"quantization": "q4f32_1"},
        {"model_type": "mistral"},
    ],
)
def test_what_matters_makes_another(place: Place, change: dict[str, object]) -> None:
    first = place.jit()
    place.write(**change)
    assert place.jit() != first
    assert place.compiled() == 2


def test_another_version_of_tvm_makes_another(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.jit()
    other = Fact.of("TVM", {"apache-tvm": "0.28"})
    monkeypatch.setattr(inputs, "tvm", lambda: other)
    assert place.jit() != first


def test_devices_overrides_and_suffixes_are_told_apart(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [place.jit(), place.jit("cuda:0"), place.jit(max_batch_size=2)]
    assert place.jit("cuda:1") == paths[1]
    monkeypatch.setattr(wanted, "_here", lambda: "cuda")
    assert place.jit("auto") == paths[1]
    monkeypatch.setenv("MLC_DSO_SUFFIX", "dylib")
    with pytest.raises(UsageError, match="MLC_DSO_SUFFIX: expected one of so"):
        place.jit()
    monkeypatch.setenv("MLC_DSO_SUFFIX", "so")
    assert place.jit() == paths[0]
    assert len({each.model_lib_path for each in paths}) == 3


@pytest.mark.parametrize("device", ["iphone", "macabi", "android"])
def test_phones_get_a_prefix_of_their_own(place: Place, device: str) -> None:
    found = place.jit(device)
    assert found.model_lib_path.endswith(".tar")
    name = str(found.system_lib_prefix)
    assert name.startswith("llama_q4f16_1_")
    assert len(name) == len("llama_q4f16_1_") + 32
    assert place.calls()[-1].endswith(f"--system-lib-prefix {name}_")
    given = place.jit(device, "my-model")
    assert given.system_lib_prefix == "my-model"
    assert place.calls()[-1].endswith("--system-lib-prefix my_model_")
    assert given.model_lib_path != found.model_lib_path


@pytest.mark.parametrize("device", ["cuda", "webgpu"])
def test_a_missing_tool_is_named_before_anything_is_made(
    place: Place, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = Fact.of("tools", {"it": "none"})
    lacks = (Lack(device, TOOLS["zig"]),)
    monkeypatch.setattr(inputs, "toolchain", lambda *_: (fact, lacks))
    with pytest.raises(BuildError, match=f"{device} needs zig, .* is missing: pip"):
        place.jit(device)
    assert place.calls() == []
    assert not place.home.exists()


def test_a_library_for_the_web_holds_a_runtime_that_all_share(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Path(place.jit("webgpu").model_lib_path)
    (runtime,) = (place.home / "web_runtime").glob("*.o")
    made = ["web_runtime", "normalize", "normalize --overrides max_batch_size=2"]
    host = HOST.replace("auto", DEVICES["webgpu"].host, 1)
    linked = f"compile --device webgpu --opt O0 {host} --web-runtime {runtime}"
    place.jit("webgpu", max_batch_size=2)
    assert sorted(place.calls()) == sorted([*made, linked, linked])
    for each in (first, runtime):
        each.unlink()
    assert place.jit("webgpu").model_lib_path == str(first)
    assert place.calls() == [], "the cache has both"
    monkeypatch.setenv("MLC_JIT_POLICY", "READONLY")
    monkeypatch.setenv("MLCX_CACHE_DIR", "none")
    runtime.unlink()
    with pytest.raises(BuildError, match=r"\.o is missing, and MLC_JIT_POLICY is READ"):
        place.jit("webgpu")


def test_a_failure_quotes_the_log_and_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    place.order("fail-compile")
    with pytest.raises(BuildError, match="mlcx compile failed with status 1") as raised:
        place.jit()
    assert "café: the reason of the failure" in str(raised.value)
    assert not list((place.home / "model_lib").glob("*.so"))
    assert list(place.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"device": "gpu"}, UsageError, "unknown device 'gpu'"),
        ({"foo": 1}, UsageError, "unknown override 'foo'"),
        (
            {"context_window_size": 1.5},
            UsageError,
            "expected a whole number, found 1.5",
        ),
        ({"max_batch_size": True}, UsageError, "expected a whole number, found True"),
        ({"sliding_window_size": 8}, UsageError, "llama has no such field"),
        ({"tensor_parallel_shards": 2}, UsageError, "expected 1, as libraries"),
        ({"opt": "O9"}, UsageError, 'optimisation flag "O9" is not known'),
        ({"device": "iphone", "prefix": "1-a"}, UsageError, "system library prefix"),
    ],
)
def test_a_wrong_argument_is_refused(
    place: Place, arguments: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        place.jit(**arguments)
    assert not place.home.exists()


def test_what_cannot_be_locked_is_named(place: Place) -> None:
    library = Path(place.jit().model_lib_path)
    library.unlink()
    lock = library.parent / "locks" / f"{library.name}.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(BuildError, match=rf"{library.name} cannot be locked: .*lock: "):
        place.jit()


def test_a_wrong_policy_and_a_missing_model_are_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"expected a model directory with mlc-chat"):
        mlcx.jit(tmp_path / "none", {}, "cpu")
    with pytest.raises(UsageError, match="HF://a/b: expected a folder: mlcx fetch"):
        mlcx.jit("HF://a/b", {}, "cpu")
    with pytest.raises(UsageError, match="overrides: expected a dict of fields, found"):
        mlcx.jit(tmp_path, None, "cpu")  # type: ignore[arg-type]
    monkeypatch.setenv("MLC_JIT_POLICY", "YES")
    with pytest.raises(UsageError, match="MLC_JIT_POLICY: expected one of ON, REDO"):
        place.jit()


def test_a_hit_loads_neither_tvm_nor_scons(place: Place) -> None:
    place.jit()
    out, _ = place.start().communicate(timeout=60)
    loaded = {name.split(".")[0] for name in out.splitlines()[-1].split()}
    assert not loaded & {"tvm", "tvm_ffi", "numpy", "SCons", "torch", "filelock"}


def test_of_many_processes_one_compiles(place: Place) -> None:
    """Of twenty that really compile too, as a slow test of builds shows."""
    place.order("slow-compile")
    running = [place.start() for _ in range(6)]
    said = {each.communicate(timeout=120)[0].splitlines()[0] for each in running}
    assert [each.returncode for each in running] == [0] * 6
    assert len(said) == 1
    assert sorted(place.calls()) == [
        f"compile --device cpu --opt O0 {HOST}",
        "normalize",
    ]


def test_an_interrupt_leaves_nothing(place: Place) -> None:
    place.order("hang-compile")
    process = place.start()
    hanging = place.root / "control/hanging"
    deadline = time.monotonic() + 60
    while not (hanging.exists() and hanging.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert list(place.temporary.iterdir()) == []
    assert not list((place.home / "model_lib").glob("*.so"))
    with pytest.raises(ProcessLookupError):
        os.kill(int(hanging.read_text()), 0)
    (place.root / "control/hang-compile").unlink()
    assert Path(place.jit().model_lib_path).is_file()


def test_a_config_that_changes_while_it_is_read_makes_no_library(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be kept under its key is of nobody knows which config."""
    config = place.model / "mlc-chat-config.json"
    edit = f"open({str(config)!r}, 'w').write('{{}}')"
    made = "open(sys.argv[-1], 'w').write('made')"
    code = f"import sys; {edit}; {made}"
    monkeypatch.setattr(steps, "COMMAND", (sys.executable, "-S", "-c", code))
    with pytest.raises(BuildError, match="changed while it was made: ask again"):
        place.jit()
    assert [path for path in place.home.rglob("*.json") if path.is_file()] == []
