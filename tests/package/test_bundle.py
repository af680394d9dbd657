from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.package.bundle import bundle


def write_model(folder: Path, *shards: bytes, **chat: object) -> Path:
    folder.mkdir(exist_ok=True)
    records = []
    for number, data in enumerate(shards):
        name = f"params_shard_{number}.bin"
        (folder / name).write_bytes(data)
        records.append({"dataPath": name, "nbytes": len(data)})
    (folder / "tensor-cache.json").write_text(json.dumps({"records": records}))
    (folder / "tokenizer.json").write_text("{}")
    config = {"tokenizer_files": ["tokenizer.json"], **chat}
    (folder / "mlc-chat-config.json").write_text(json.dumps(config))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_holds_the_files_of_the_model_and_no_others(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc", b"defg")
    (model / "tensor-cache-b16.json").write_text("{}")
    expected = contents(model)
    (model / "README.md").write_text("not for an app")
    bundle(model, tmp_path / "out" / "bundle")
    assert contents(tmp_path / "out" / "bundle") == expected


def test_a_checkpoint_is_no_place_for_a_bundle(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc")
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for name in ("config.json", "model.safetensors"):
        (checkpoint / name).write_text("{}")
    before = contents(checkpoint)
    with pytest.raises(InputError, match="checkpoint: expected a folder for a bundle"):
        bundle(model, checkpoint)
    assert contents(checkpoint) == before


def test_shards_take_no_second_room(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc" * 5000)
    bundle(model, tmp_path / "bundle")
    shard, copy = model / "params_shard_0.bin", tmp_path / "bundle/params_shard_0.bin"
    assert copy.samefile(shard) or copy.stat().st_nlink == 1  # linked, or cloned


def test_editing_a_bundled_config_leaves_the_model_alone(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc", temperature=0.5)
    before = contents(model)
    bundle(model, tmp_path / "bundle")
    with (tmp_path / "bundle/mlc-chat-config.json").open("w") as file:
        file.write("{}")
    assert contents(model) == before


def test_files_of_an_earlier_bundle_go_and_foreign_ones_stay(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    names = ["tokenizer.json", "vocab.json", "kept"]
    old = write_model(tmp_path / "old", b"a", b"b", b"c", tokenizer_files=names)
    for name in names[1:]:
        (old / name).write_text("{}")
    bundle(old, target)
    (target / "kept").unlink()
    (target / "tensor-cache-b16.json").write_text("{}")
    (target / ".params_shard_1.bin.abcd1234").write_text("half")
    for folder in ("kept", "params_shard_9.bin"):
        (target / folder).mkdir()
    mine = dict.fromkeys(("notes.txt", "merges.txt", "tokenizer.model"), b"mine")
    for name, data in mine.items():
        (target / name).write_bytes(data)
    new = write_model(tmp_path / "new", b"z")
    bundle(new, target)
    for folder in ("kept", "params_shard_9.bin"):
        (target / folder).rmdir()
    assert contents(target) == {**contents(new), **mine}


def test_a_folder_is_no_bundle_of_itself(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc")
    (model / "params_shard_7.bin").write_bytes(b"of another run")
    before = contents(model)
    (tmp_path / "link").symlink_to(model)
    with pytest.raises(InputError, match="which is the same folder: name another one"):
        bundle(model, tmp_path / "link")
    assert contents(model) == before


def test_a_bundle_of_a_new_model_replaces_every_byte(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc")
    bundle(model, tmp_path / "bundle")
    (model / "params_shard_0.bin").unlink()
    write_model(model, b"xyz", temperature=1.0)
    bundle(model, tmp_path / "bundle")
    assert contents(tmp_path / "bundle") == contents(model)


def test_an_older_index_goes_before_its_shards_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "model", b"abc")
    bundle(model, tmp_path / "bundle")
    write_model(model, b"longer")

    def stop(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlcx.package.bundle.share", stop)
    with pytest.raises(KeyboardInterrupt):
        bundle(model, tmp_path / "bundle")
    assert not (tmp_path / "bundle/tensor-cache.json").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "", ".", "..", 3])
def test_a_model_cannot_reach_out_of_its_folder(tmp_path: Path, name: object) -> None:
    (tmp_path / "secret").write_text("private")
    model = write_model(tmp_path / "model", b"abc", tokenizer_files=[name])
    with pytest.raises(InputError, match="expected the name of a file"):
        bundle(model, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_cut_shard_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", b"abc", b"def")
    (model / "params_shard_1.bin").write_bytes(b"d")
    with pytest.raises(InputError, match=r"expected 3 bytes, found 1"):
        bundle(model, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("tensor-cache.json", "cannot be read"),
        ("mlc-chat-config.json", "cannot be read"),
        ("params_shard_0.bin", "expected a shard of the weights, found none"),
        ("tokenizer.json", "expected a file, found none"),
    ],
)
def test_an_incomplete_model_is_refused(
    tmp_path: Path, missing: str, message: str
) -> None:
    model = write_model(tmp_path / "model", b"abc")
    (model / missing).unlink()
    with pytest.raises(InputError, match=f"{missing}: {message}"):
        bundle(model, tmp_path / "bundle")
    assert not (tmp_path / "bundle" / "tensor-cache.json").exists()


@pytest.mark.parametrize("index", ["{}", '{"records": [{}]}', '{"records": 1}'])
def test_a_wrong_index_is_refused(tmp_path: Path, index: str) -> None:
    model = write_model(tmp_path / "model", b"abc")
    (model / "tensor-cache.json").write_text(index)
    with pytest.raises(InputError, match="expected 'records' with 'dataPath'"):
        bundle(model, tmp_path / "bundle")
