"""SCons' signatures as a cloned project has them: of anything that somebody pickled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import SCons.Script  # SCons' modules need it to be the first
from SCons.Node.FS import FileBuildInfo, FileNodeInfo
from SCons.Node.Python import ValueNodeInfo
from SCons.SConsign import SConsignEntry

from mlcx.scons import database, signs
from mlcx.scons.pickles import DamagedError, entries, folders

assert SCons.Script


class Touching:
    """Pickles to what makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def entry() -> SConsignEntry:
    made = SConsignEntry()
    made.ninfo, made.binfo = FileNodeInfo(), FileBuildInfo()
    made.ninfo.csig = "c"
    made.binfo.bactsig, made.binfo.bsourcesigs = "b", [ValueNodeInfo()]
    return made


def test_what_scons_writes_is_read() -> None:
    found = entries(pickle.dumps({"one.so": entry()}))
    assert found["one.so"].ninfo.csig == "c"
    assert isinstance(found["one.so"].binfo.bsourcesigs[0], ValueNodeInfo)


def test_what_is_named_besides_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran, file = tmp_path / "ran", tmp_path / ".sconsign.dblite"
    bad = pickle.dumps({"one.so": entry(), "two.so": Touching(ran)})
    pickle.loads(bad)
    ran.unlink()  # which it made
    with pytest.raises(DamagedError):
        folders(pickle.dumps({"dist": Touching(ran)}))
    file.write_bytes(pickle.dumps({"dist": bad, "build": b"x"}))
    assert signs.signed(file) == frozenset()
    made = database.open(str(file), "c")
    made["own"] = b"y"
    with pytest.raises(KeyError):
        made["dist"]
    assert list(made.keys()) == ["own"]
    assert f"{file} is damaged: it is not used" in capsys.readouterr().err
    assert not ran.exists()


@pytest.mark.parametrize("found", [[], {"one.so": 1}, {1: entry()}, {"": FileNodeInfo}])
def test_what_is_built_otherwise_is_damaged(found: object) -> None:
    with pytest.raises(DamagedError):
        entries(pickle.dumps(found))
