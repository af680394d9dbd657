"""GPT-J: its config; its logits are compared with transformers elsewhere."""

import pytest

from mlcx.architectures.gptj import Config
from mlcx.errors import InputError

from .conftest import tiny

CONFIG = tiny("gptj")


def test_the_config_has_the_fields_of_the_format() -> None:
    config = Config.from_hf(CONFIG).to_dict()
    assert " ".join(config) == (
        "vocab_size n_embd n_layer n_head layer_norm_epsilon rotary_dim "
        "activation_function n_inner rope_scaling context_window_size "
        "prefill_chunk_size tensor_parallel_shards max_batch_size head_dim"
    )
    assert (config["head_dim"], config["context_window_size"]) == (80, 128)


@pytest.mark.parametrize(
    ("n_inner", "width"), [({}, 640), ({"n_inner": None}, 640), ({"n_inner": 92}, 92)]
)
def test_feed_forward_layers_are_four_times_as_wide_unless_said(
    n_inner: dict, width: int
) -> None:
    fields = {key: CONFIG[key] for key in CONFIG if key != "n_inner"}
    assert Config.from_hf(fields | n_inner).n_inner == width


def test_mlc_is_told_that_neighbours_are_rotated_together() -> None:
    assert Config.from_hf(CONFIG).rope_scaling == {"rope_type": "gptj"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "tanh"}, "'activation_function': expected 'gelu' or"),
        ({"rotary_dim": 7}, "'rotary_dim' is 7: expected an even number up to 80"),
        ({"rotary_dim": 82}, "'rotary_dim' is 82: expected an even number up to 80"),
        ({"rotary_dim": None}, "'rotary_dim': expected a whole number .* found None"),
        ({"n_head": 7}, "n_embd must be a multiple of n_head"),
        ({"head_dim": 10}, "head_dim must be n_embd / n_head"),
        ({"rope_scaling": {"type": "linear"}}, "is 'linear', expected one of gptj"),
        ({"tie_word_embeddings": True}, "gptj has a head of its own"),
    ],
)
def test_what_the_network_would_not_do_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config.from_hf(CONFIG | changes)


def test_what_is_wrong_is_said_once() -> None:
    with pytest.raises(InputError) as caught:
        Config.from_hf(CONFIG | {"n_embd": "wide"})
    messages = [each.message for each in caught.value.problems]
    assert sum("'n_embd'" in message for message in messages) == 1
