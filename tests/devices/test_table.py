"""Every device's library of several tiny models: its format, and that it is complete.

With ``-s`` it prints what each cost. A device whose tools are missing is skipped; what
it takes to have them all is in docs/devices.md.
"""

from __future__ import annotations

import json
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.compiler.build import Options, compile_library
from mlcx.compiler.compile_config import CompileConfig
from mlcx.compiler.targets import target_of
from mlcx.spec.devices import DEVICES, Device
from mlcx.spec.opt import canonical
from mlcx.toolchain.needs import needs, refusal
from mlcx.toolchain.triple import parse
from mlcx.web.kept import kept

pytestmark = pytest.mark.slow

REFERENCES = Path(__file__).parents[1] / "models" / "references"
MODELS = (
    ("llama", "q4f16_1"),
    ("llama", "q0f16"),
    ("gpt_neox", "q4f16_1"),
    ("mixtral", "q4f16_1"),
)
GRAPH = """
    _metadata embed prefill decode batch_prefill batch_decode batch_verify
    create_tir_paged_kv_cache alloc_embedding_tensor softmax_with_temperature
""".split()
"""What MLC Engine and web-llm look up in the graph."""
KERNELS = "apply_logit_bias_inplace apply_penalty_inplace apply_bitmask_inplace".split()
"""What they look up among the kernels."""
FORMATS = {"elf": "ELF", "macho": "MACHO", "coff": "PE"}
SOURCES = {"opencl": b"__kernel void ", "metal": b"kernel void ", "webgpu": b"fn main("}
"""Kind of a target to what a kernel begins with where its source is shipped."""


LIBRARIES = [
    pytest.param(device, model, scheme, id=f"{device.name}-{model}-{scheme}")
    for device in DEVICES.values()
    for model, scheme in MODELS
]


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[[Device, str, str], tuple[Path, float]]:
    """Return a function from a device and a model to its library and the seconds."""

    def make(device: Device, model: str, scheme: str) -> tuple[Path, float]:
        found = needs(device.kind, parse(device.host), device.suffix)
        if lacks := refusal(device.name, found):
            pytest.skip(lacks)
        bounds = {"prefill_chunk_size": 32, "max_batch_size": 3}
        path = _config(model, tmp_path / "config.json")
        config = CompileConfig.load(path, quantization=scheme, overrides=bounds)
        target = target_of(device.name, device.host)
        opt, prefix = canonical("O2", device), "tiny_" if device.static else None
        runtime = kept() if device.suffix == ".wasm" else None
        options = Options(device.name, target, opt, prefix, web_runtime=runtime)
        output, begun = tmp_path / f"library{device.suffix}", time.perf_counter()
        compile_library(config, options, output)
        return output, time.perf_counter() - begun

    return make


def _config(model: str, path: Path) -> Path:
    described = json.loads((REFERENCES / f"{model}.json").read_text())
    case = next(iter(described["cases"].values()))
    fields = {"model_type": model, **described["common"], **case}
    path.write_text(json.dumps(fields))
    return path


def names(parsed: Any) -> set[str]:
    """Return what a library, or an object, defines or calls, as C calls it."""
    exports = parsed.exported_functions if parsed.format.name == "PE" else ()
    found = (str(symbol.name) for symbol in (*parsed.symbols, *exports))
    return {name.lstrip("_") for name in found}


def binaries(library: Path) -> list[bytes]:
    """Return the files of the library's format: itself, or the members of a tar."""
    if library.suffix != ".tar":
        return [library.read_bytes()]
    with tarfile.open(library) as archive:
        files = (archive.extractfile(member) for member in archive.getmembers())
        return [file.read() for file in files if file is not None]


@pytest.mark.parametrize(("device", "model", "scheme"), LIBRARIES)
def test_a_library_is_whole_and_of_its_devices_format(
    device: Device,
    model: str,
    scheme: str,
    compiled: Callable[[Device, str, str], tuple[Path, float]],
) -> None:
    lief = pytest.importorskip("lief")
    library, seconds = compiled(device, model, scheme)
    parsed = [lief.parse(list(content)) for content in binaries(library)]
    expected = getattr(lief.Binary.FORMATS, FORMATS[parse(device.host).format])
    assert {each.format for each in parsed} == {expected}
    symbols = set().union(*map(names, parsed))
    prefix = "tiny_" if device.static else ""
    assert {f"tvm_ffi_{prefix}{name}" for name in KERNELS} <= symbols
    everything = b"".join(binaries(library))
    assert all(name.encode() in everything for name in GRAPH)
    if device.kind in SOURCES:
        kernels = [f"{prefix}{name}_kernel".encode() for name in KERNELS]
        assert all(SOURCES[device.kind] + name in everything for name in kernels)
    size = library.stat().st_size
    row = f"{device.name:20} {model:10} {scheme:8} {seconds:5.1f} s {size:9} bytes"
    sys.stdout.write(f"{row}\n")
