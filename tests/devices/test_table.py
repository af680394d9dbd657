"""Every device's library of several tiny models: its format, and that it is complete.

Each is compiled in a process of its own, as in a build. What they cost goes to the file
that ``MLCX_DEVICE_TABLE`` names, which is docs/device-table.md:

    MLCX_DEVICE_TABLE=docs/device-table.md pytest -n 0 -m slow tests/devices
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from compiling import Taken, compile_apart
from wasm_calls import calls

from mlcx.library import contents
from mlcx.library.contents import Model
from mlcx.library.members import members
from mlcx.library.modules import Executable
from mlcx.spec.devices import DEVICES, Device
from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import parse

lief = pytest.importorskip("lief")
gpu_code = pytest.importorskip("gpu_code")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

COMMON = {"max_position_embeddings": 512, "num_hidden_layers": 2, "vocab_size": 512}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
GPT_NEOX = {
    "model_type": "gpt_neox",
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "layer_norm_eps": 1e-5,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.25,
    "use_parallel_residual": True,
    "tie_word_embeddings": False,
}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}
MIXTRAL = {**LLAMA, **EXPERTS, "model_type": "mixtral"}

MODELS = {
    "llama, q4f16_1": (LLAMA, "q4f16_1"),
    "llama, q0f16": (LLAMA, "q0f16"),
    "gpt_neox, q4f16_1": (GPT_NEOX, "q4f16_1"),
    "mixtral, q4f16_1": (MIXTRAL, "q4f16_1"),
}

HOSTED = "--host=x86_64-linux-gnu"
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cpu, AVX2": ("cpu", (HOSTED, "--mcpu=x86-64-v3")),
    "cpu, AVX-512 and VNNI": ("cpu", (HOSTED, "--mcpu=icelake-server")),
    "cpu, AArch64": ("cpu", ("--host=aarch64-linux-gnu",)),
    "cuda, sm_80 and sm_90a": ("cuda", ("--archs=sm_80,sm_90a",)),
    **{name: (name, ()) for name in DEVICES},
}
"""What a row is of, to its device and the options of ``compile``."""

WITHOUT_F16 = "webgpu, no shader-f16"
BUDGET = {"cuda": 20}
"""Seconds of CPU of a device's compile, where they are not the usual."""
USUAL_BUDGET = 30
BUSY = 2
"""How many times as long it may take beside other work, which fills the caches."""

GRAPH = set(
    """
    _metadata embed prefill decode batch_prefill batch_decode batch_verify
    create_tir_paged_kv_cache alloc_embedding_tensor softmax_with_temperature
    """.split()
)
"""What MLC Engine and web-llm look up in the graph."""
ON_GPUS = {
    "metal": {"multinomial_from_uniform", "argsort_probs", "sample_with_top_p"},
    "cuda": {"multinomial_from_uniform", "argsort_probs", "sample_with_top_p"},
    "webgpu": {"argsort_probs", "sample_with_top_p"},
}
"""What they look up there besides, on devices of these kinds."""
KERNELS = set(
    """
    apply_logit_bias_inplace apply_penalty_inplace apply_bitmask_inplace gather_probs
    scatter_probs
    """.split()
)
"""What they look up among the kernels."""
FORMATS = {"elf": "ELF", "macho": "MACHO", "coff": "PE"}
PAGE = 16 * 1024
"""Of memory on new phones with Android."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    variant: str
    cells: tuple[str, ...]

    @classmethod
    def of(cls, variant: str, taken: Taken, form: str, model: Model) -> Row:
        kernels = f"{len(model.host_functions)} on the host"
        if model.executable is not None and model.executable.devices:
            (device,) = model.executable.devices
            kernels = f"{len(device.kernels)}: {device.format or 'wgsl'}"
        size = f"{taken.library_bytes / 1024:.0f}"
        costs = (f"{taken.cpu_s:.1f}", str(taken.peak_mib), size)
        return cls(variant, (*costs, form, kernels))


Note = Callable[[str, Row], None]


@pytest.fixture(scope="module")
def note() -> Note:
    """Return what adds a row to the table of a model, and writes all there are."""
    found: dict[str, list[Row]] = {}
    loads: list[float] = []
    file = os.environ.get("MLCX_DEVICE_TABLE")

    def add(name: str, row: Row) -> None:
        found.setdefault(name, []).append(row)
        if file is not None:
            loads.append(seconds_to_load_tvm())
            Path(file).write_text(page(found, loads))

    return add


def seconds_to_load_tvm() -> float:
    """Return the CPU's, which says how busy the machine is: no compile takes less."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import tvm.relax"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def page(found: dict[str, list[Row]], loads: Sequence[float]) -> str:
    """Return the page of docs with the rows of each model."""
    head = Path(__file__).with_name("table-head.md").read_text()
    titles = ("device", "CPU s", "peak MiB", "KiB", "format", "kernels")
    quickest, slowest = f"{min(loads):.1f}", f"{max(loads):.1f}"
    lines = [head.replace("QUICKEST", quickest).replace("SLOWEST", slowest)]
    for name, rows in found.items():
        lines += [f"\n## {name}\n\n", _line(titles), _line(("---",) * len(titles))]
        lines += [_line((f"`{row.variant}`", *row.cells)) for row in rows]
    return "".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |\n"


def cases() -> Iterator[Any]:
    for name in MODELS:
        for variant in VARIANTS:
            yield pytest.param(name, variant, id=f"{name}: {variant}")
        if name == "llama, q0f16":
            # Browsers on older GPUs have no 16-bit floats.
            yield pytest.param(name, WITHOUT_F16, id=f"{name}: {WITHOUT_F16}")


@pytest.mark.parametrize(("name", "variant"), list(cases()))
def test_a_library_is_whole_and_of_its_devices_format(
    name: str, variant: str, note: Note, tmp_path: Path
) -> None:
    fields, scheme = MODELS[name]
    config = tmp_path / "config.json"
    config.write_text(json.dumps(COMMON | fields))
    preset, options = VARIANTS.get(variant, ("webgpu", ()))
    if variant == WITHOUT_F16:
        scheme = "q0f32"
    device, archs = DEVICES[preset], variant.partition(", ")[2].split(" and ")
    library = tmp_path / f"library{device.suffix}"
    host = next((o[7:] for o in options if o.startswith("--host=")), device.host)
    found = needs(
        device.kind, parse(host), device.suffix, archs if preset == "cuda" else ()
    )
    if lacks := refusal(preset, found):
        said = refused(config, scheme, preset, options, library)
        assert lacks in said
        empty = ("", "", "", "; ".join(said.splitlines()), "")
        note(name, Row(variant, empty))
        return
    extra = ["--system-lib-prefix=tiny_"] if device.static else []
    taken = compile_apart(str(config), scheme, preset, [*options, *extra], library)
    (model,) = contents.read(library).models
    check_functions(model, device)
    check_kernels(library, model, device)
    form = check_format(library, host, "tiny_" if device.static else "")
    note(name, Row.of(variant, taken, form, model))
    assert taken.cpu_s <= BUSY * BUDGET.get(variant, USUAL_BUDGET)


def refused(
    config: Path, scheme: str, device: str, options: tuple[str, ...], library: Path
) -> str:
    """Return what ``compile`` says where a tool is missing; it writes nothing."""
    with pytest.raises(subprocess.CalledProcessError) as raised:
        compile_apart(str(config), scheme, device, options, library)
    assert raised.value.returncode == 1
    assert not library.exists()
    done = subprocess.run(raised.value.cmd, capture_output=True, text=True, check=False)
    return done.stderr


def check_functions(model: Model, device: Device) -> None:
    assert model.executable is not None
    functions = {function.name for function in model.executable.functions}
    assert GRAPH | ON_GPUS.get(device.kind, set()) <= functions
    prefix = "tiny_" if device.static else ""
    assert {prefix + name for name in KERNELS} <= set(model.host_functions)


def check_kernels(library: Path, model: Model, device: Device) -> None:
    assert model.executable is not None
    if device.kind == "llvm":
        assert model.executable.devices == ()
        return
    (code,) = model.executable.devices
    assert len(code.kernels) > 30
    check_allocates_nothing(library.read_bytes(), device)
    if device.kind == "cuda":
        check_graphs(model.executable)
    assert gpu_code.with_code(library, code) == set(code.kernels)


def check_allocates_nothing(library: bytes, device: Device) -> None:
    """Hold kernels to have no buffer in global memory: the host would allocate it."""
    if device.kind != "webgpu":
        assert b"AllocWorkspace" not in library
        return
    # The runtime inside has such a function; what is compiled calls it as it does that.
    assert calls(library, "TVMFFIFunctionCall")
    assert not calls(library, "TVMBackendAllocWorkspace")


def check_graphs(executable: Executable) -> None:
    """Hold a library to what capturing CUDA graphs needs."""
    calls = {
        f"vm.builtin.cuda_graph.{n}" for n in ("run_or_capture", "get_cached_alloc")
    }
    assert calls <= set(executable.runtime_functions)
    functions = {function.name for function in executable.functions}
    assert "cuda_graph_alloc_init" in functions
    assert "batch_decode_cuda_graph_capture" in functions


def check_format(library: Path, host: str, prefix: str) -> str:
    """Return what LIEF says that a library's files are; it reads no WebAssembly."""
    if library.suffix == ".wasm":
        assert library.read_bytes().startswith(b"\0asm\1\0\0\0")
        return "WebAssembly"
    files = [lief.parse(list(each.data)) for each in members(library)[1]]
    expected = FORMATS[parse(host).format]
    assert {each.format.name for each in files} == {expected}
    symbols = set().union(*map(names, files))
    assert {f"tvm_ffi_{prefix}{name}" for name in KERNELS} <= symbols
    if library.suffix == ".so" and "android" in host:
        (file,) = files
        loads = (s for s in file.segments if s.type == lief.ELF.Segment.TYPE.LOAD)
        assert all(segment.alignment % PAGE == 0 for segment in loads)
    described = {" ".join((expected, *machine(each))) for each in files}
    assert len(described) == 1
    return described.pop()


def machine(file: Any) -> tuple[str, ...]:
    """Return the processor and, of Apple's files, the system, in LIEF's words."""
    if file.format.name == "MACHO":
        return file.header.cpu_type.name, file.build_version.platform.name
    header = file.header
    return (
        (header.machine_type if file.format.name == "ELF" else header.machine).name,
    )


def names(file: Any) -> set[str]:
    """Return what a library, or an object, defines or calls, as C calls it."""
    exports = file.exported_functions if file.format.name == "PE" else ()
    found = (str(symbol.name) for symbol in (*file.symbols, *exports))
    return {name.lstrip("_") for name in found}
