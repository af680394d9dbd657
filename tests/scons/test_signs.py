"""What is read of SCons' own signatures."""

from pathlib import Path

import pytest

from mlcx.scons import signs


def test_what_another_version_of_scons_wrote_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_a_class_that_is_gone = b"cSCons.gone\nThing\n."
    monkeypatch.setattr(signs, "read", lambda _: {"dist": of_a_class_that_is_gone})
    assert signs.signed(tmp_path / ".sconsign.dblite") == frozenset()
