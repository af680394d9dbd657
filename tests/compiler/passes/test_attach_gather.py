import numpy as np
import pytest

from mlcx.compiler.passes.attach_gather import AttachGather
from mlcx.compiler.targets import target_of

from .built_module import lookup, tensors

WIDTH = {"probs": (259, "float32"), "hidden_states": (16, "float16")}


@pytest.fixture(scope="module")
def function():
    return lookup(AttachGather(target_of("cpu"), "float16", 16, 259))


def rows(what, count):
    width, dtype = WIDTH[what]
    return np.random.default_rng(count).standard_normal((count, width)).astype(dtype)


@pytest.mark.parametrize("what", WIDTH)
def test_gathers_into_the_destination(function, what):
    indices = np.array([4, 2], "int32")
    src, at, dst = tensors(rows(what, 5), indices, rows(what, 2))
    function(f"gather_{what}")(src, at, dst)
    assert (dst.numpy() == rows(what, 5)[indices]).all()


@pytest.mark.parametrize("what", WIDTH)
def test_scatters_into_the_destination(function, what):
    indices = np.array([4, 2], "int32")
    src, at, dst = tensors(rows(what, 2), indices, rows(what, 5))
    function(f"scatter_{what}")(src, at, dst)
    expected = rows(what, 5)
    expected[indices] = rows(what, 2)
    assert (dst.numpy() == expected).all()


def test_functions_on_hidden_states_return_the_destination(function):
    indices = np.array([0], "int32")
    src, at, dst = tensors(rows("hidden_states", 3), indices, rows("hidden_states", 1))
    result = function("gather_hidden_states")(src, at, dst)
    assert (result.numpy() == src.numpy()[:1]).all()
    assert (dst.numpy() == src.numpy()[:1]).all()
