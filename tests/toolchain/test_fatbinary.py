"""Kernels for several architectures, bound into one."""

import pytest
from cuda_images import ELF, PTX, images

from mlcx.errors import BuildError
from mlcx.toolchain import fatbinary, nvrtc

SOURCE = 'extern "C" __global__ void f(float* x) { x[threadIdx.x] += 1; }'

needed = pytest.mark.skipif(
    nvrtc.home() is None or fatbinary.program() is None, reason=fatbinary.REMEDY
)


@needed
def test_each_architecture_has_its_own_code_as_it_was_compiled() -> None:
    made = {arch: nvrtc.compile_source(SOURCE, arch) for arch in ("sm_75", "sm_100a")}
    cubins = {arch: image.cubin for arch, image in made.items()}
    bound = fatbinary.bind(cubins, {"sm_75": made["sm_75"].ptx})
    first, second, text = images(bound)
    assert first == (ELF, 75, cubins["sm_75"])
    assert second == (ELF, 100, cubins["sm_100a"])
    assert text[:2] == (PTX, 75)


@needed
def test_code_for_another_architecture_than_said_is_refused() -> None:
    cubin = nvrtc.compile_source(SOURCE, "sm_80").cubin
    with pytest.raises(BuildError, match=r"binding failed: .*sm=90"):
        fatbinary.bind({"sm_90": cubin}, {})


def test_without_it_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fatbinary, "program", lambda: None)
    with pytest.raises(BuildError, match=r"pip install 'mlcx\[cuda-archs\]'"):
        fatbinary.bind({"sm_80": b"", "sm_90": b""}, {})
