"""A tiny model's library, compiled once for all the tests that look into it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tvm import cpu, relax, runtime

from mlcx.compiler.build import Options, compile_library
from mlcx.compiler.compile_config import CompileConfig
from mlcx.compiler.targets import target_of

TINY = Path(__file__).parents[1] / "tiny" / "llama.json"


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def config() -> CompileConfig:
    """The tiny model at q4f16_1, for chunks of 32 tokens and 3 sequences."""
    bounds = {"prefill_chunk_size": 32, "max_batch_size": 3}
    return CompileConfig.load(TINY, quantization="q4f16_1", overrides=bounds)


@pytest.fixture(scope="session")
def options() -> Options:
    """This machine's CPU."""
    return Options("cpu", target_of("cpu"), "O2")


@pytest.fixture(scope="session")
def library(
    config: CompileConfig, options: Options, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The compiled library, its description beside it."""
    output = tmp_path_factory.mktemp("library") / "tiny.so"
    compile_library(config, options, output)
    return output


@pytest.fixture(scope="session")
def metadata(library: Path) -> dict[str, Any]:
    """What the library says of itself."""
    machine = relax.VirtualMachine(runtime.load_module(str(library)), cpu())
    return dict(json.loads(machine["_metadata"]()))
