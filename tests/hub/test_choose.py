"""Which files of a repository a build needs."""

from pathlib import Path

import pytest

from mlcx.artifact import tokenizer_names
from mlcx.hub.choose import texts_of


@pytest.mark.parametrize(
    "checkpoint",
    [
        ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"],
        ["tokenizer.model", "added_tokens.json"],
        ["qwen.tiktoken", "tokenizer_config.json"],
        ["rwkv_vocab_v20230424.txt"],
    ],
)
def test_a_model_directorys_tokenizer_is_fetched_whatever_its_config_lists(
    checkpoint: list[str],
) -> None:
    made = tokenizer_names(Path(), checkpoint).all
    names = [*made, "mlc-chat-config.json", "README.md", "params_shard_0.bin"]
    expected = sorted([*made, "mlc-chat-config.json"])
    assert texts_of("mlc", names, lambda _: {}) == expected
