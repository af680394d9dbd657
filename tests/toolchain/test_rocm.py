"""The bitcode that kernels of AMD's GPUs are linked with."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.errors import BuildError
from mlcx.toolchain import rocm
from mlcx.toolchain.tools import TOOLS

NAMES = """
    ocml oclc_daz_opt_off oclc_finite_only_off oclc_unsafe_math_off
    oclc_correctly_rounded_sqrt_on oclc_wavefrontsize64_off oclc_wavefrontsize64_on
    oclc_isa_version_906 oclc_isa_version_90a oclc_isa_version_1030 oclc_abi_version_500
""".split()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bitcode, which ``ROCM_PATH`` leads to."""
    folder = tmp_path / "amdgcn" / "bitcode"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.bc").write_bytes(name.encode())
    monkeypatch.setenv("ROCM_PATH", str(tmp_path))
    return folder


@pytest.mark.parametrize(
    ("arch", "lanes", "instructions"),
    [
        ("gfx906", "on", "906"),
        ("gfx90a:sramecc+", "on", "90a"),
        ("gfx1030", "off", "1030"),
        ("gfx1100", "off", "1030"),
    ],
)
def test_the_files_are_those_of_a_gpus_kind(
    place: Path, arch: str, lanes: str, instructions: str
) -> None:
    names = [file.stem for file in rocm.bitcode(arch)]
    assert names[0] == "ocml"
    assert f"oclc_wavefrontsize64_{lanes}" in names
    assert [name for name in names if "isa" in name] == [
        f"oclc_isa_version_{instructions}"
    ]


def test_what_is_lacking_is_named(place: Path) -> None:
    (place / "oclc_abi_version_500.bc").unlink()
    with pytest.raises(
        BuildError, match=r"lacks oclc_abi_version_500\.bc: no kernels for gfx906"
    ):
        rocm.bitcode("gfx906")


def test_other_bitcode_is_another_version(place: Path) -> None:
    find = TOOLS["rocm-device-libs"].find
    first = find()
    assert first is not None
    assert first.path == str(place)
    (place / "ocml.bc").write_bytes(b"another")
    second = find()
    assert second is not None
    assert second.version != first.version


def test_without_any_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rocm, "_ROOTS", ())
    monkeypatch.setenv("ROCM_PATH", str(tmp_path))
    assert TOOLS["rocm-device-libs"].find() is None
    with pytest.raises(BuildError, match="apt-get install rocm-device-libs"):
        rocm.bitcode("gfx1100")
