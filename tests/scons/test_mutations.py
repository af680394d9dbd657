"""What changes the signature of a product, and what does not: a row for each input.

There are three: the key in the cache, what SCons compares, and what lets a build that
has nothing to do end before SCons is told of it. The compile config, whose content is
in them, is what the real ``normalize`` makes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from SCons.Environment import Environment

from mlcx.__main__ import main
from mlcx.reasons.standing import Standing
from mlcx.scons.builders import BUILDERS, words
from mlcx.signature import inputs
from mlcx.spec import digest, load
from mlcx.steps import requests
from mlcx.steps.keys import keys
from mlcx.steps.requests import Folders, Request
from mlcx.toolchain.needs import Need
from mlcx.web.pieces import NAMES

from .project import REPOSITORY, Project, copy_sources

TINY = json.loads((REPOSITORY / "tests/tiny/llama.json").read_text())
SPEC = "delivery.json"
CHAT = "models/m/mlc-chat-config.json"
OTHER = "models/other/mlc-chat-config.json"
Change = Callable[[Path], object]


def write(path: Path, value: object, **style: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, **style))


def make(root: Path) -> None:
    chat = {
        "model_type": "llama",
        "quantization": "q4f16_1",
        "model_config": TINY,
        "vocab_size": 99,
        "context_window_size": 128,
        "temperature": 0.5,
        "top_p": 0.9,
        "repetition_penalty": 1.0,
        "conv_template": {"name": "chatml", "system_message": "Be kind."},
        "tokenizer_files": ["tokenizer.json"],
        "eos_token_id": 2,
    }
    for file in (CHAT, OTHER):
        write(root / file, chat)
        write((root / file).with_name("tensor-cache.json"), {"records": []})
    write(root / "raw/config.json", {**TINY, "context_window_size": 128})
    write(root / "raw/generation_config.json", {"temperature": 0.5})
    write(root / "raw/tokenizer.json", {"version": "1"})
    (root / "raw/model.safetensors").write_bytes(b"weights")
    spec = {
        "tasks": [{"model_id": "m", "model": "models/m"}],
        "default_compile_options": [{"device": "opencl", "opt": "O2"}],
        "default_quantization": ["q4f16_1"],
        "binary_libs_dir": "libs",
    }
    write(root / SPEC, spec)


def signature(root: Path, verb: str = "compile") -> dict[str, object]:
    """Return what is signed of the first step of ``verb`` of the spec in ``root``."""
    folders = Folders(root / "dist", root / "build")
    asked = list(requests.plan(load(root / SPEC), folders))
    step = next(each for each in asked if each.verb == verb)
    for each in asked:
        if each.verb == "normalize" and each.targets[0] in step.sources:
            given = [str(each.models[0]), *each.options, "-o", str(each.output)]
            assert main(["normalize", *given]) == 0
    return {"SCons": of_scons(step)} | ({"key": found} if (found := keys(step)) else {})


def of_scons(step: Request) -> tuple[object, ...]:
    """Return what SCons compares: words of the command, values, contents of files."""
    action = BUILDERS[step.verb].action
    env = Environment(tools=[], MLCX=["python"], **words(step, str))
    contents = action.get_contents(target=[], source=[], env=env)
    digests = [digest.digest_file(source) for source in step.sources]
    return (contents, *map(str, step.facts), *digests)


def differ(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether all signatures differ; they agree on that."""
    found = {one[name] != other[name] for name in one}
    assert len(found) == 1, "SCons and the cache do not agree"
    return found.pop()


def in_config(**fields: object) -> Change:
    def change(root: Path) -> None:
        chat = json.loads((root / CHAT).read_text())
        chat["model_config"].update(fields)
        chat.update({key: fields[key] for key in fields if key in chat})
        write(root / CHAT, chat)

    return change


def in_chat(**fields: object) -> Change:
    return edit(CHAT, **fields)


def edit(file: str, **fields: object) -> Change:
    def change(root: Path) -> None:
        write(root / file, {**json.loads((root / file).read_text()), **fields})

    return change


def option(**fields: object) -> Change:
    return edit(SPEC, default_compile_options=[{"device": "opencl", **fields}])


def package(device: str = "cpu", **fields: str) -> Change:
    """Ask for a checkpoint as an app has it."""
    entry = {"model_id": "raw", "model": "raw", "quantization": "q4f16_1"}
    entry |= {"conv_template": "chatml", "bundle_weight": True, **fields}

    def change(root: Path) -> None:
        write(root / SPEC, {"device": device, "model_list": [entry]})

    return change


def bitcode(root: Path, content: str) -> None:
    for name in NAMES:
        write(root / f"web/dist/wasm/{name}.bc", content)


def at_the_same_time(change: Change) -> Change:
    """Return ``change`` such that sizes and times of files do not tell of it."""

    def hidden(root: Path) -> None:
        before = {path: path.stat() for path in root.rglob("*.json")}
        change(root)
        for path, known in before.items():
            assert path.stat().st_size == known.st_size
            os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))

    return hidden


def rewritten(**style: Any) -> Change:
    def change(root: Path) -> None:
        for file in (SPEC, CHAT):
            value = json.loads((root / file).read_text())
            write(root / file, dict(reversed(value.items())), **style)

    return change


def moved(root: Path) -> None:
    (root / "models/m").rename(root / "elsewhere")
    edit(SPEC, tasks=[{"model_id": "n", "model": "elsewhere"}])(root)


def touched(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (1, 1))


def with_another(root: Path) -> None:
    tasks = [{"model_id": "m", "model": "models/m"}]
    tasks += [{"model_id": "other", "model": "models/other"}]
    edit(SPEC, tasks=tasks)(root)


MUST: dict[str, Change] = {
    "hidden_size": in_config(hidden_size=128),
    "intermediate_size": in_config(intermediate_size=128),
    "num_attention_heads": in_config(num_attention_heads=8, head_dim=16),
    "num_key_value_heads": in_config(num_key_value_heads=4),
    "num_hidden_layers": in_config(num_hidden_layers=3),
    "vocab_size": in_config(vocab_size=100),
    "rms_norm_eps": in_config(rms_norm_eps=1e-6),
    "rope_theta": in_config(rope_theta=10000.0),
    "rope_scaling": in_config(rope_scaling={"rope_type": "linear", "factor": 2.0}),
    "tie_word_embeddings": in_config(tie_word_embeddings=True),
    "context_window_size": in_config(context_window_size=64),
    "active_vocab_size": in_chat(active_vocab_size=90),
    "override of the window": option(overrides={"context_window_size": 64}),
    "override of the chunk": option(overrides={"prefill_chunk_size": 32}),
    "override of the batch": option(overrides={"max_batch_size": 3}),
    "device": option(device="cpu"),
    "device of a kind": option(device="mali"),
    "host": option(host="aarch64-linux-gnu"),
    "mcpu": option(mcpu="x86-64-v3"),
    "quantization": edit(SPEC, default_quantization=["q4f32_1"]),
    "content and no time": at_the_same_time(in_config(num_hidden_layers=3)),
}
MUST_NOT: dict[str, Change] = {
    "temperature": in_chat(temperature=0.1),
    "top_p": in_chat(top_p=0.1),
    "repetition_penalty": in_chat(repetition_penalty=1.5),
    "text of a conversation template": in_chat(conv_template={"name": "x"}),
    "tokenizer files": in_chat(tokenizer_files=[]),
    "token ids": in_chat(eos_token_id=7),
    "name of the checkpoint": in_config(_name_or_path="/home/me/model"),
    "version of transformers": in_config(transformers_version="9.9"),
    "path and id of the model": moved,
    "folder of the libraries": edit(SPEC, binary_libs_dir="other/libs"),
    "another model": with_another,
    "another model's config": edit(OTHER, temperature=0.1, vocab_size=3),
    "another library": edit(SPEC, default_quantization=["q4f16_1", "q0f16"]),
    "an override that says the same": option(overrides={"context_window_size": 128}),
    "opt of a device that has none of its libraries": option(opt="O3"),
    "time stamps": touched,
    "order of keys": rewritten(),
    "white space": rewritten(indent=7),
    "escapes": rewritten(ensure_ascii=False),
}
CUDA: dict[str, dict[str, object]] = {
    "opt": {"device": "cuda", "opt": "O0"},
    "a flag of opt": {"device": "cuda", "opt": "cudagraph=0"},
    "archs": {"device": "cuda", "archs": "sm_90a"},
    "several archs": {"device": "cuda", "archs": "sm_80,sm_90"},
}
PHONE: dict[str, dict[str, object]] = {
    "system_lib_prefix": {"device": "iphone", "system_lib_prefix": "other_name_"},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "root")
    return tmp_path / "root"


@pytest.mark.parametrize("change", MUST.values(), ids=MUST)
def test_what_changes_the_bytes_changes_the_signature(
    root: Path, change: Change
) -> None:
    before = signature(root)
    change(root)
    assert differ(before, signature(root))


OF_TEXTS = {
    "config": edit("raw/config.json", hidden_size=128),
    "sampling": edit("raw/generation_config.json", temperature=0.1),
    "tokenizer": edit("raw/tokenizer.json", version="2"),
    "name of a file": lambda root: (root / "raw/tokenizer.json").rename(
        root / "raw/added_tokens.json"
    ),
    "conversation template": package(conv_template="LM"),
    "quantization": package(quantization="q4f32_1"),
}
OF_WEIGHTS = {
    "config": edit("raw/config.json", hidden_size=128),
    "weights": lambda root: (root / "raw/model.safetensors").write_bytes(b"other"),
    "quantization": package(quantization="q4f32_1"),
    "exact float32": package(float32="raw"),
}
OF_RUNTIME = {
    "bitcode": lambda root: bitcode(root, "other"),
    "none given": lambda root: shutil.rmtree(root / "web"),
}
STEPS = [
    *(("gen_config", name, OF_TEXTS) for name in OF_TEXTS),
    *(("convert_weight", name, OF_WEIGHTS) for name in OF_WEIGHTS),
    *(("web_runtime", name, OF_RUNTIME) for name in OF_RUNTIME),
]


@pytest.mark.parametrize(("verb", "name", "changes"), STEPS)
def test_what_other_steps_read_changes_their_signature(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    name: str,
    changes: dict[str, Change],
) -> None:
    """One that only touches the files does not."""
    monkeypatch.setenv("TVM_HOME", str(root))
    package()(root)
    if verb == "web_runtime":
        package(device="webgpu")(root)
        bitcode(root, "one")
    before = signature(root, verb)
    touched(root)
    assert not differ(before, signature(root, verb))
    changes[name](root)
    assert differ(before, signature(root, verb))


def standing(root: Path) -> Standing:
    asked = list(requests.plan(load(root / SPEC), Folders(root / "d", root / "b")))
    for path in (path for each in asked for path in each.targets):
        if not path.exists():
            write(path, {})
    (root / "signatures").open("a").close()
    return Standing(root / "b", SPEC, asked, "code", root / "signatures")


@pytest.mark.parametrize("change", MUST.values(), ids=MUST)
def test_what_changes_the_bytes_is_not_taken_for_done(
    root: Path, change: Change
) -> None:
    found = standing(root)
    time.sleep(0.03)  # a file is trusted when it is older than the look at it
    found.look()
    found.keep()
    assert standing(root).holds()
    change(root)
    assert not standing(root).holds()


@pytest.mark.parametrize("change", MUST_NOT.values(), ids=MUST_NOT)
def test_what_changes_no_byte_leaves_the_signature(root: Path, change: Change) -> None:
    before = signature(root)
    change(root)
    assert not differ(before, signature(root))


@pytest.mark.parametrize("fields", [*CUDA.values(), *PHONE.values()])
def test_what_only_some_devices_have_is_signed(
    root: Path, fields: dict[str, object]
) -> None:
    option(device=fields["device"])(root)
    before = signature(root)
    option(**fields)(root)
    assert differ(before, signature(root))


def fresh() -> None:
    facts = (inputs.sources, inputs.installed, inputs.toolchain, inputs.host)
    for known in (*facts, inputs._files):
        known.cache_clear()


@pytest.mark.parametrize("name", ["apache-tvm", "apache-tvm-ffi"])
def test_versions_of_tvm_are_signed(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before, known = signature(root), inputs.version_of
    other = {name: "9.9"}
    monkeypatch.setattr(inputs, "version_of", lambda n: other.get(n, known(n)))
    fresh()
    assert differ(before, signature(root))
    monkeypatch.undo()
    fresh()
    assert signature(root) == before


def test_versions_of_tools_are_signed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = inputs.versions

    def other(found: tuple[Need, ...]) -> dict[str, str]:
        return {name: f"{version}.1" for name, version in known(found).items()}

    option(device="cpu")(root)
    before = signature(root)
    monkeypatch.setattr(inputs, "versions", other)
    fresh()
    changed = signature(root)
    monkeypatch.undo()
    fresh()
    assert differ(before, changed)
    assert signature(root) == before


def test_which_cpu_there_is_is_signed_for_this_cpu_only(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signed(cpu: str, **fields: object) -> dict[str, object]:
        monkeypatch.setattr(inputs.machine, "cpu", lambda: cpu)
        fresh()
        option(device="cpu", **fields)(root)
        return signature(root)

    assert differ(signed("x86_64 avx"), signed("x86_64 avx2"))
    named = {"host": "x86_64-linux-gnu", "mcpu": "x86-64-v3"}
    assert signed("x86_64 avx", **named) == signed("x86_64 avx2", **named)
    monkeypatch.undo()
    fresh()


@pytest.mark.parametrize(
    ("file", "matters"),
    [
        ("compiler/pipeline.py", True),
        ("models/llama.py", True),
        ("nn/attention.py", True),
        ("cli/compile.py", True),
        ("runtime/engine.py", False),
        ("scons/graph.py", False),
        ("steps/requests.py", False),
        ("cli/run.py", False),
    ],
)
def test_sources_that_compiling_loads_are_signed(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    matters: bool,
) -> None:
    copy = copy_sources(REPOSITORY, tmp_path / "sources") / "mlcx"
    assert (copy / file).exists()

    def of_copy(packages: Iterable[str]) -> dict[str, str]:
        return digest.source_digests(packages, copy)

    monkeypatch.setattr(inputs, "source_digests", of_copy)
    fresh()
    before = signature(root)
    with (copy / file).open("a") as source:
        source.write("# edited\n")
    fresh()
    after = signature(root)
    monkeypatch.undo()
    fresh()
    assert differ(before, after) is matters


def test_a_checkout_elsewhere_and_another_environment_sign_the_same(
    root: Path, tmp_path: Path
) -> None:
    before = signature(root)
    shutil.copytree(root, tmp_path / "a b/checkout")
    code = (
        "import os, sys; os.umask(0o077)\n"
        "from tests.scons.test_mutations import signature\n"
        "from pathlib import Path; print(signature(Path(sys.argv[1])))"
    )
    odd = {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
    odd |= {"HOME": "/nowhere", "USER": "other", "COLUMNS": "20", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a b/checkout")],
        env={**os.environ, **odd, "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(before)


def test_scons_itself_makes_nothing_again_in_another_environment(
    built: Project,
) -> None:
    odd = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "USER": "x"}
    before = os.umask(0o077)
    try:
        assert built.build("-j4", **odd) == []
    finally:
        os.umask(before)


def test_an_equal_config_that_lies_elsewhere_compiles_nothing(built: Project) -> None:
    spec = built.root / "mlc-package-config.json"
    value = json.loads(spec.read_text())
    value["model_list"][0].update(model_id="uno", model_lib="one")
    spec.write_text(json.dumps(value))
    calls = built.build()
    assert "normalize build/uno/config/q4f16_1/compile-config.json" in calls
    assert not [call for call in calls if call.startswith("compile")]
    assert built.build() == []
