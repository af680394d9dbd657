"""Buffers of a kernel in global memory, which the host would allocate, are seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import tvm
from tvm import tirx
from tvm.script import tirx as T
from wasm_calls import calls

from mlcx.compiler.kernels.script import array, define
from mlcx.compiler.targets import target_of
from mlcx.toolchain.products import make
from mlcx.toolchain.triple import parse
from mlcx.web.kept import kept
from mlcx.web.pieces import given_bitcode

from ..support.web import compiled

pytestmark = compiled
HOST = "wasm32-unknown-unknown-wasm"
SIZE = 64


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_library_for_the_web_allocates_what_a_kernel_has_in_global_memory(
    is_shared: bool, tmp_path: Path
) -> None:
    def emit() -> None:
        x, y = (array(name, (SIZE,), "float32") for name in "xy")
        between = None if is_shared else T.alloc_buffer((SIZE,), "float32")
        with T.thread_binding(0, SIZE, "threadIdx.x") as i:
            if between is None:
                between = T.alloc_buffer((SIZE,), "float32", scope="shared")
            T.buffer_store(between, x[i], [i])
            T.buffer_store(y, between[i], [i])

    target = target_of("webgpu", HOST)
    function = define("copy", emit).with_attr("target", target)
    module = tvm.IRModule({"copy": function}).with_attr("system_lib_prefix", "p" * 8)
    with target:
        tirx.build(module, target).write_to_file(str(tmp_path / "copy.o"))
    (tmp_path / "made").mkdir()
    objects, runtime = [tmp_path / "copy.o"], kept(given_bitcode())
    library = make(objects, ".wasm", parse(HOST), tmp_path / "made", [runtime])
    found = calls(library.read_bytes(), "TVMBackendAllocWorkspace")
    assert found == (0 if is_shared else 1)
