"""Manifests and their check; digests are held against sha256sum and openssl's names."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from mlcx.__main__ import main
from mlcx.errors import InputError
from mlcx.manifest import hashing
from mlcx.manifest.check import check
from mlcx.manifest.hashing import Ledger
from mlcx.manifest.statement import statement

FILES = {
    "lib/a.wasm": b"\0asm",
    "bundle/m/params_shard_0.bin": b"abc",
    "lib/b.so": b"b",
}


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    """Return a folder with a manifest, and a bundle with an index."""
    folder = tmp_path / "dist"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    record = {"dataPath": "params_shard_0.bin", "nbytes": 3}
    record["md5sum"] = hashlib.md5(b"abc").hexdigest()
    index = folder / "bundle/m/tensor-cache.json"
    index.write_text(json.dumps({"records": [record]}))
    names = [*FILES, "bundle/m/tensor-cache.json"]
    found = Ledger(tmp_path / "hashes.json").digests(folder / name for name in names)
    products = {
        name: ((folder / name).stat().st_size, found[folder / name]) for name in names
    }
    content = statement(
        products, [("m/config.json", {"sha256": "00"})], {"mlcx": "1"}, []
    )
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "report.md").write_text("not listed")
    return folder


def test_a_manifest_is_an_in_toto_statement_of_every_file(delivery: Path) -> None:
    found = json.loads((delivery / "manifest.json").read_text())
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {each["name"]: each for each in found["subject"]}
    assert sorted(subjects) == sorted([*FILES, "bundle/m/tensor-cache.json"])
    web = subjects["lib/a.wasm"]
    assert web["digest"] == {"sha256": hashlib.sha256(b"\0asm").hexdigest()}
    code = base64.b64encode(hashlib.sha384(b"\0asm").digest()).decode()
    assert web["annotations"] == {"bytes": 4, "integrity": f"sha384-{code}"}
    assert "integrity" not in subjects["lib/b.so"]["annotations"]
    definition = found["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {"name": "m/config.json", "digest": {"sha256": "00"}},
        {"uri": "pkg:pypi/mlcx@1"},
    ]


def test_what_pages_load_has_its_integrity() -> None:
    loaded = {"a.wasm", "m/x.bin", "m/x.json", "m/tokenizer.model", "m/merges.txt"}
    found = {"sha256": "00", "sha384": "00"}
    names = (*loaded, "a.so", "libmodel_iphone.a")
    made = statement(dict.fromkeys(names, (1, found)), [], {}, [])["subject"]
    assert {each["name"] for each in made if "integrity" in str(each)} == loaded


def test_what_is_as_it_was_passes_anywhere(delivery: Path, tmp_path: Path) -> None:
    moved = delivery.rename(tmp_path / "elsewhere")
    found = check(moved)
    assert (found.files, found.findings) == (4, ())
    assert found.against == ("manifest.json", "bundle/m/tensor-cache.json")
    assert found.unchecked == ()
    bundle = check(moved / "bundle/m")
    assert (bundle.files, bundle.unchecked) == (1, ("tensor-cache.json",))


def test_each_kind_of_harm_is_named(delivery: Path) -> None:
    (delivery / "lib/b.so").unlink()
    (delivery / "lib/a.wasm").write_bytes(b"\0asn")
    (delivery / "bundle/m/params_shard_0.bin").write_bytes(b"abcd")
    (delivery / "lib/foreign.so").write_bytes(b"")
    lines = [str(each) for each in check(delivery).findings]
    shard = "bundle/m/params_shard_0.bin"
    assert lines[0] == f"changed: {shard}: 4 bytes, expected 3 as manifest.json says"
    wrong, right = (hashlib.sha256(each).hexdigest() for each in (b"\0asn", b"\0asm"))
    assert lines[1] == (
        f"changed: lib/a.wasm: sha256 {wrong}, expected {right} as manifest.json says"
    )
    assert lines[2:] == [
        "extra: lib/foreign.so: not in manifest.json",
        "missing: lib/b.so: listed in manifest.json",
    ]


def test_a_bundle_alone_is_held_against_its_index(delivery: Path) -> None:
    (delivery / "bundle/m/params_shard_0.bin").write_bytes(b"abd")
    (found,) = check(delivery / "bundle/m").findings
    assert (found.kind, found.file) == ("changed", "params_shard_0.bin")
    assert found.message.startswith("md5 ")


def test_a_file_of_the_tokenizer_that_is_gone_is_named(delivery: Path) -> None:
    bundle = delivery / "bundle/m"
    (bundle / "tokenizer.json").write_text("{}")
    config = {"tokenizer_files": ["tokenizer.json", "vocab.json"]}
    (bundle / "mlc-chat-config.json").write_text(json.dumps(config))
    (found,) = check(bundle).findings
    assert str(found) == "missing: vocab.json: listed in mlc-chat-config.json"


def test_a_model_that_an_app_would_look_for_in_vain_is_named(delivery: Path) -> None:
    rows = [{"model_path": "m"}, {"model_path": "bad"}, {"model_url": "https://x.org"}]
    app = {"model_list": [{"model_id": "x", **row} for row in rows]}
    (delivery / "bundle/mlc-app-config.json").write_text(json.dumps(app))
    (delivery / "bundle/m/mlc-chat-config.json").write_text("{}")
    found = [str(each) for each in check(delivery / "bundle").findings]
    assert found == [
        f"missing: bad/{name}: listed in mlc-app-config.json"
        for name in ("mlc-chat-config.json", "tensor-cache.json")
    ]


def test_the_copy_of_the_app_config_in_an_android_module_has_no_models_beside_it(
    delivery: Path,
) -> None:
    assets = delivery / "lib/mlc4j/src/main/assets"
    assets.mkdir(parents=True)
    for folder in (delivery / "bundle", assets):
        app = {"model_list": [{"model_path": "m"}]}
        (folder / "mlc-app-config.json").write_text(json.dumps(app))
    (delivery / "manifest.json").unlink()
    found = [str(each) for each in check(delivery).findings]
    config = "bundle/m/mlc-chat-config.json"
    assert found == [f"missing: {config}: listed in bundle/mlc-app-config.json"]
    (delivery / config).write_text("{}")
    assert check(delivery).findings == ()


def test_the_verb_says_it_and_exits_with_it(
    delivery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(delivery)]) == 0
    out = capsys.readouterr().out
    assert "dist: 4 files, " in out
    assert ": as it should be (manifest.json, " in out
    assert main(["verify", str(delivery / "bundle/m")]) == 0
    out = capsys.readouterr().out
    assert "m: 1 file, 3 B: as it should be (tensor-cache.json)\n" in out
    assert "1 file, such as tensor-cache.json: not checked, as only a manifest" in out
    (delivery / "lib/b.so").unlink()
    assert main(["verify", str(delivery)]) == 1
    assert "mlcx: missing: lib/b.so" in capsys.readouterr().err
    assert main(["verify", str(delivery), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert said["findings"][0]["file"] == "lib/b.so"
    assert main(["verify", str(delivery / "lib")]) == 2
    assert "found neither: nothing to check" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "{}",
        '{"subject": [{}]}',
        '{"subject": [5]}',
        '{"subject": [{"name": "x", "digest": {}}]}',
        '{"subject": 5}',
        '{"subject": [{"name": "../x", "digest": {"sha256": ""}}]}',
        '{"subject": [{"name": "/etc/passwd", "digest": {"sha256": ""}}]}',
    ],
)
def test_a_manifest_that_is_none_is_refused(delivery: Path, text: str) -> None:
    (delivery / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        check(delivery)


def test_what_a_manifest_lacks_is_named(delivery: Path) -> None:
    text = '{"subject": [{"name": "x", "digest": {}}]}'
    (delivery / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="an entry of 'subject' has no 'sha256'"):
        check(delivery)


def test_what_is_no_folder_is_said_to_be_none(delivery: Path) -> None:
    with pytest.raises(InputError, match="nowhere: expected a folder, found no such"):
        check(delivery / "nowhere")
    with pytest.raises(
        InputError, match=r"report\.md: expected a folder, found a file"
    ):
        check(delivery / "report.md")


def test_a_name_of_two_lines_is_shown_in_one(delivery: Path) -> None:
    (delivery / "lib/one\ntwo.so").write_bytes(b"")
    (found,) = check(delivery).findings
    assert str(found) == "extra: lib/one\\ntwo.so: not in manifest.json"


def test_a_lock_is_no_product_and_tells_of_a_build(
    delivery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (delivery / ".mlcx-lock").write_text("1")
    assert (check(delivery).findings, check(delivery).building) == ((), False)
    with (delivery / ".mlcx-lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert check(delivery).building
        assert main(["verify", str(delivery)]) == 0
    assert f"mlcx: a build is going on in {delivery}\n" in capsys.readouterr().err
    (delivery / "manifest.json").unlink()
    assert ".mlcx-lock" not in check(delivery).unchecked


def test_a_file_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = hashing._digest
    monkeypatch.setattr(
        hashing, "_digest", lambda path, *rest: read.append(path) or real(path, *rest)
    )
    file, link, ledger = tmp_path / "a", tmp_path / "b", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    os.utime(file, (time.time() - 60,) * 2)
    link.hardlink_to(file)
    for _ in range(2):
        found = Ledger(ledger).digests([file, link])
        assert len(read) == 1
        assert found[link]["sha256"] == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"two")
    found = Ledger(ledger).digests([file])
    assert found[file]["sha256"] == hashlib.sha256(b"two").hexdigest()
    Ledger(ledger).digests([file])
    assert len(read) == 3, "so young a file may change without another time stamp"
    ledger.write_text("torn {")
    assert Ledger(ledger).digests([file]) == found
