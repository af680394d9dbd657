"""AWQ's words against known ones, and GPTQ's against a decoding of their own."""

import json

import numpy as np
import pytest

from mlcx.architectures import llama
from mlcx.errors import UsageError
from mlcx.presets import preset_file
from mlcx.quant.apply import build
from mlcx.quant.awq import AwqPacking, gptq_codes, gptq_zeros
from mlcx.quant.scheme import scheme

AWQ = AwqPacking()


def test_a_known_word_stands_for_the_known_values() -> None:
    packed = {
        "qweight": np.full((128, 1), 0x75316420, np.uint32),
        "qzeros": np.array([[0x88888888]], np.uint32),
        "scales": np.array([[0.5, 1, 0.25, 2, 0.5, 1, 0.25, 2]], np.float16),
    }
    found = AWQ.unpack(packed, 128)
    assert found.shape == (8, 128)
    assert found.dtype == np.float16
    known = [-4, -7, -1.5, -10, -2, -3, -0.5, -2]
    np.testing.assert_array_equal(found.T, [known] * 128)


def test_scales_and_zeros_are_those_of_the_group() -> None:
    packed = {
        "qweight": np.zeros((256, 1), np.uint32),
        "qzeros": np.array([[0x11111111], [0x22222222]], np.uint32),
        "scales": np.array([[1] * 8, [0.5] * 8], np.float16),
    }
    found = AWQ.unpack(packed, 256)
    assert (found[:, :128] == -1).all()
    assert (found[:, 128:] == -1).all()
    packed["scales"][1] = 2
    assert (AWQ.unpack(packed, 256)[:, 128:] == -4).all()


def test_parts_have_the_shapes_of_the_format() -> None:
    assert AWQ.parts("a.weight", (24, 256)) == {
        "a.qweight": ((256, 3), "uint32"),
        "a.qzeros": ((2, 3), "uint32"),
        "a.scales": ((2, 24), "float16"),
    }


@pytest.mark.parametrize("shape", [(20, 256), (24, 200)])
def test_a_weight_without_whole_words_and_groups_is_refused(
    shape: tuple[int, int],
) -> None:
    with pytest.raises(UsageError, match=r"a\.weight is .* needs a multiple of 8 rows"):
        AWQ.parts("a.weight", shape)


def test_a_layer_of_a_model_that_cannot_be_packed_is_named() -> None:
    preset = json.loads(preset_file("tinyllama_1b_chat_v1.0").read_bytes())
    config = llama.Config.from_hf(preset | {"intermediate_size": 5600})
    with pytest.raises(UsageError, match=r"^model\.layers\.0\.mlp\.down_proj\.weight"):
        build(llama, config, scheme("q4f16_autoawq"))


def test_words_of_gptq_stand_for_the_same_weight_as_those_made_of_them() -> None:
    """GPTQ: eight neighbours along K in a word of codes, zeros less 1, plain order."""
    random = np.random.default_rng(2)
    codes, zeros = random.integers(0, 16, (256, 24)), random.integers(1, 17, (2, 24))
    zeros %= 16
    scales = random.random((2, 24)).astype(np.float16)
    places = 4 * np.arange(8)
    words = (codes.reshape(32, 8, 24) << places[:, None]).sum(1).astype(np.uint32)
    stored = (zeros - 1) % 16
    in_words = (stored.reshape(2, 3, 8) << places).sum(2).astype(np.uint32)
    packed = {"qweight": gptq_codes(words), "qzeros": gptq_zeros(in_words)}
    parts = AWQ.parts("weight", (24, 256))
    assert {k: (v.shape, str(v.dtype)) for k, v in packed.items()} == {
        name: parts[name] for name in packed
    }
    found = AWQ.unpack(packed | {"scales": scales}, 256)
    wide = np.repeat(zeros, 128, axis=0), np.repeat(scales, 128, axis=0)
    expected = (codes - wide[0]).astype(np.float16) * wide[1]
    np.testing.assert_array_equal(found, expected.T)


def test_a_known_word_of_gptq_is_that_of_awq() -> None:
    """Eight rows of one column each: code k in column 0, so one word for each k."""
    words = np.zeros((1, 8), np.uint32)
    words[0, 0] = 0x76543210
    assert gptq_codes(words)[:, 0].tolist() == list(range(8))
    words = np.array([[0x76543210]], np.uint32)
    assert [f"{word:x}" for word in gptq_zeros(words)[0]] == ["86427531"]
