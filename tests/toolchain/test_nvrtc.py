"""NVIDIA's compiler, called as a library."""

import ctypes
import os

import pytest

from mlcx.errors import BuildError
from mlcx.toolchain import cuda_archs, nvrtc

SOURCE = """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>
extern "C" __global__ void largest(float* x, __nv_fp8_e4m3* y, __nv_bfloat16* z) {
  float found = -INFINITY;
  for (int i = 0; i < 8; ++i) found = max(found, float(y[i]) * __bfloat162float(z[i]));
  x[threadIdx.x] = found;
}
"""

needed = pytest.mark.skipif(nvrtc.home() is None, reason=nvrtc.REMEDY)


@needed
def test_small_floats_and_infinity_compile_and_the_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = nvrtc.compile_source(SOURCE, "sm_90")
    assert image.cubin.startswith(b"\x7fELF")
    assert b".target sm_90\n" in image.ptx
    assert image.ptx.endswith(b"}\n\n")
    monkeypatch.setenv("NV_NVVM_VERSION", "2.0")  # which it has not
    before = dict(os.environ)
    assert nvrtc.compile_source(SOURCE, "sm_90") == image
    assert dict(os.environ) == before


@needed
def test_what_the_compiler_refuses_is_shown_without_its_warnings() -> None:
    source = "__global__ void f() { int unused; missing(); }"
    with pytest.raises(BuildError) as caught:
        nvrtc.compile_source(source, "sm_80")
    head, first, *_ = str(caught.value).splitlines()
    assert head == "compiling for sm_80 failed: NVRTC_ERROR_COMPILATION"
    assert first == 'kernels.cu(1): error: identifier "missing" is undefined'


@needed
def test_the_architectures_are_those_of_the_installed_compiler() -> None:
    folder = nvrtc.home()
    assert folder is not None
    library = ctypes.CDLL(str(folder / "lib" / "libnvrtc.so.13"))
    count = ctypes.c_int()
    assert library.nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0
    numbers = (ctypes.c_int * count.value)()
    assert library.nvrtcGetSupportedArchs(numbers) == 0
    assert tuple(numbers) == cuda_archs.ARCHITECTURES


def test_without_it_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "version_of", lambda _: None)
    with pytest.raises(BuildError, match=r"pip install 'mlcx\[cuda\]'"):
        nvrtc.compile_source(SOURCE, "sm_80")
