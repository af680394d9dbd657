import math

import numpy as np
import pytest

from mlcx.compiler.kernels.rotation import frequencies
from mlcx.errors import BuildError

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def hugging_face_llama3(theta: float, dim: int, scaling: dict) -> np.ndarray:
    """Follow ``_compute_llama3_parameters`` of transformers, in float64."""
    inv_freq = 1.0 / theta ** (np.arange(0, dim, 2) / dim)
    old = scaling["original_max_position_embeddings"]
    low = old / scaling["low_freq_factor"]
    high = old / scaling["high_freq_factor"]
    wavelen = 2 * math.pi / inv_freq
    slowed = np.where(wavelen > low, inv_freq / scaling["factor"], inv_freq)
    smooth = (old / wavelen - scaling["low_freq_factor"]) / (
        scaling["high_freq_factor"] - scaling["low_freq_factor"]
    )
    blended = (1 - smooth) * slowed / scaling["factor"] + smooth * slowed
    medium = ~(wavelen < high) & ~(wavelen > low)
    return np.where(medium, blended, slowed)


def test_plain_frequencies_fall_from_one():
    expected = [1, 1 / 10, 1 / 100, 1 / 1000]
    assert frequencies(1e4, 8, None) == pytest.approx(expected)
    assert frequencies(1e4, 8, {"rope_type": "default"}) == pytest.approx(expected)


def test_linear_scaling_stretches_positions():
    stretched = frequencies(1e4, 4, {"type": "linear", "factor": 4.0})
    assert stretched == pytest.approx([1 / 4, 1 / 400])


@pytest.mark.parametrize(("theta", "dim"), [(5e5, 128), (5e5, 64), (1e4, 80)])
def test_llama3_scaling_is_that_of_hugging_face(theta, dim):
    expected = hugging_face_llama3(theta, dim, LLAMA3)
    assert frequencies(theta, dim, LLAMA3) == pytest.approx(expected, rel=1e-12)
    assert frequencies(theta, dim, None) != pytest.approx(expected, rel=1e-3)


def test_longrope_divides_each_frequency_by_its_factor():
    scaling = {"rope_type": "longrope", "factors": [1.0, 2.5]}
    assert frequencies(1e4, 4, scaling) == pytest.approx([1, 1 / 250])


def test_an_unknown_scaling_is_named():
    with pytest.raises(BuildError, match="'yarn': expected default, linear, llama3 or"):
        frequencies(1e4, 8, {"rope_type": "yarn", "factor": 2})
