import numpy as np
import pytest
from tvm.script import tirx as T

from mlcx.compiler.kernels.cpu.exp import exp, exp2
from mlcx.compiler.kernels.script import array, define

from .target_kernel import HOST, NARROW, build_for


def applied(function, values: np.ndarray, target=HOST, lanes: int = 16) -> np.ndarray:
    def emit() -> None:
        x = array("x", (T.int64(), lanes), "float32")
        y = array("y", x.shape, "float32")
        with T.serial(x.shape[0]) as i, T.vectorized(lanes) as lane:
            T.buffer_store(y, function(x[i, lane]), [i, lane])

    out = np.empty_like(values)
    build_for(target, define("apply", emit))(values.reshape(-1, lanes), out)
    return out


def run(function, values, target=HOST, lanes=16) -> np.ndarray:
    padded = np.resize(np.array(values, "float32"), -(-len(values) // lanes) * lanes)
    x = padded.reshape(-1, lanes)
    return applied(function, x, target, lanes).ravel()[: len(values)]


@pytest.mark.parametrize(
    ("target", "lanes"), [(HOST, 16), (HOST, 1), (NARROW, 4)], ids=repr
)
def test_powers_of_two_are_within_a_few_roundings(target, lanes):
    x = np.linspace(-126, 127.4, 20001).astype("float32")
    error = run(exp2, x, target, lanes) / np.exp2(x.astype("float64")) - 1
    assert np.abs(error).max() < 3e-7


def test_whole_powers_are_exact():
    x = np.arange(-126, 128)
    assert (run(exp2, x) == np.exp2(x.astype("float64"))).all()


def test_the_ends_of_the_range_are_zero_infinity_and_nan():
    ends = run(exp2, [-np.inf, -1e30, -127, 127.6, 1e30, np.inf])
    assert ends.tolist() == [0, 0, 0, np.inf, np.inf, np.inf]
    assert np.isnan(run(exp2, [np.nan])[0])


def test_natural_exponentials_follow():
    x = np.linspace(-87, 88, 20001).astype("float32")
    error = run(exp, x) / np.exp(x.astype("float64")) - 1
    assert np.abs(error).max() < 5e-6
    assert np.abs(error[np.abs(x) < 10]).max() < 1e-6
