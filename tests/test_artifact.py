from __future__ import annotations

import os
from pathlib import Path

import pytest
from tokenizers import pre_tokenizers

from mlcx import artifact
from mlcx.artifact import (
    TokenizerNames,
    byte_characters,
    read_json,
    replacing,
    tokenizer_names,
    write_json,
)
from mlcx.errors import BuildError, InputError


def test_a_file_is_replaced_in_one_go(tmp_path: Path) -> None:
    target = tmp_path / "a" / "x"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["x"]


def test_names_of_files_that_packages_must_agree_on_stand_once() -> None:
    owner = Path(artifact.__file__)
    values = (getattr(artifact, name) for name in artifact.__all__ if name.isupper())
    names = {each for each in values if isinstance(each, str)}
    names |= {name for pair in artifact.CHECKPOINTS.values() for name in pair}
    named = {f'"{name}"' for name in names if name.endswith((".json", ".safetensors"))}
    assert len(named) > 8
    texts = {path: path.read_text() for path in owner.parent.rglob("*.py")}
    copies = [
        (path.relative_to(owner.parent).as_posix(), name)
        for path, text in texts.items()
        for name in named
        if name in text and path != owner
    ]
    assert copies == []


def test_a_new_file_has_the_rights_that_the_umask_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the umask sets it for a moment, for every thread."""
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched, replacing(tmp_path / "x") as temporary:
            patched.setattr(os, "umask", None)
            temporary.unlink()
            temporary.touch(0o777)
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o7777 == 0o640


def test_what_fails_halfway_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")

    def fill(file: Path) -> None:
        file.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"), replacing(target) as temporary:
        fill(temporary)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "x.json"
    with pytest.raises(BuildError, match=r"x\.json: cannot be written: "):
        write_json(target, {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "x: cannot be read: No such file"),
        (b"{", "x:1:2: not JSON"),
        (b'{"a": "\xff"}', "x: not JSON: not UTF-8"),
        (b"[]", "x: expected a JSON object, found list"),
        (b"[" * 100_000, "x: lists are nested too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "x: a number has too many digits"),
    ],
)
def test_what_is_no_json_object_is_refused(
    tmp_path: Path, data: bytes | None, message: str
) -> None:
    if data is not None:
        (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_json(tmp_path / "x")
    assert message in str(caught.value)


MADE_OF_TIKTOKEN = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)


@pytest.mark.parametrize(
    ("files", "copied", "made", "source"),
    [
        ("", "", (), None),
        ("config.json model.safetensors", "", (), None),
        ("merges.txt vocab.json", "vocab.json merges.txt", (), None),
        (
            "tokenizer_config.json tokenizer.json special_tokens_map.json",
            "tokenizer.json tokenizer_config.json",
            (),
            None,
        ),
        (
            "tokenizer.model tokenizer.json",
            "tokenizer.model tokenizer.json",
            (),
            None,
        ),
        (
            "tokenizer_config.json tokenizer.model",
            "tokenizer.model tokenizer_config.json",
            ("tokenizer.json",),
            "tokenizer.model",
        ),
        (
            "tokenizer_config.json qwen.tiktoken merges.txt",
            "tokenizer_config.json",
            MADE_OF_TIKTOKEN,
            "qwen.tiktoken",
        ),
        ("a.tiktoken tokenizer.json", "tokenizer.json", (), None),
        (
            "rwkv_vocab_v20230424.txt",
            "",
            ("tokenizer_model",),
            "rwkv_vocab_v20230424.txt",
        ),
        ("rwkv_vocab_v2023.txt", "", (), None),
    ],
)
def test_a_checkpoints_files_say_which_a_model_directory_gets(
    files: str, copied: str, made: tuple[str, ...], source: str | None, tmp_path: Path
) -> None:
    for name in files.split():
        (tmp_path / name).touch()
    found = tokenizer_names(tmp_path)
    assert found == TokenizerNames(tuple(copied.split()), made, source)
    assert found.all == (*copied.split(), *made)


def test_every_byte_has_a_character_as_in_the_tokenizers_library() -> None:
    characters = byte_characters()
    assert set(characters) == set(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for text in map(chr, range(0x800)):
        ((spelled, _),) = split.pre_tokenize_str(text)
        assert spelled == "".join(characters[byte] for byte in text.encode())
