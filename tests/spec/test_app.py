"""What an app links: one archive of all its libraries, told apart by their symbols."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcx.spec import check, load
from mlcx.spec.types import StaticLibJob

LIBRARIES = "model_lib_path_for_prepare_libs"


@pytest.mark.parametrize(
    ("device", "library"),
    [
        ("iphone", "lib/libmodel_iphone.a"),
        ("macabi", "lib/libmodel_iphone.a"),
        ("android", "lib/libmodel_android.a"),
        ("android:adreno", "lib/libmodel_android.a"),
    ],
)
def test_an_app_on_a_phone_links_one_archive_of_its_libraries(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    here: Path,
    device: str,
    library: str,
) -> None:
    (here / "ready.tar").touch()
    spec = package(
        entry(model_id="a-1"),
        entry(model_id="b", model_lib="a_1"),
        entry(model_id="c", model_lib="mine"),
        device=device,
        **{LIBRARIES: {"more": "ready.tar", "mine": "ready.tar"}},
    )
    libraries = ("lib/mine.tar", "lib/more.tar", "lib/a_1.tar")
    assert load(write(spec)).static_lib == StaticLibJob(
        device, libraries, ("a_1", "mine"), library
    )


@pytest.mark.parametrize("device", ["cpu", "metal", "android:adreno-so"])
def test_an_app_that_loads_its_libraries_links_none(
    write: Callable[..., str], package: Callable[..., dict[str, Any]], device: str
) -> None:
    assert load(write(package(device=device))).static_lib is None


def test_an_app_without_models_links_none(
    write: Callable[..., str], package: Callable[..., dict[str, Any]]
) -> None:
    spec = {**package(device="iphone"), "model_list": []}
    assert load(write(spec)).static_lib is None


DIGIT = "expected letters, digits, '_' and '-', not starting with a digit"
CASES = [
    ("a-b", None),
    ("a_b", 'those of "a_b" and of "a-b" would begin with "a_b_"'),
    ("1b", f"system library prefix '1b': {DIGIT}"),
]


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_names_that_symbols_cannot_tell_apart_are_refused(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    entry: Callable[..., dict[str, Any]],
    name: str,
    problem: str | None,
) -> None:
    entries = [
        entry(model_id=model_id, model_lib=model_lib)
        for model_id, model_lib in (("x", "a-b"), ("y", name))
    ]
    found = check([write(package(*entries, device="iphone"))])
    why, way_out = "iphone libraries are found by their symbols", "choose another"
    expected = [f"{why}: {problem}: {way_out}"] if problem else []
    assert [each.message for each in found] == expected
    assert all(each.pointer == "/model_list/1/model_lib" for each in found)


@pytest.mark.parametrize(
    ("device", "path", "url"),
    [("iphone", "a", None), ("cpu", "a", None), ("android", None, "")],
)
def test_an_app_is_told_no_path_of_the_building_machine(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    device: str,
    path: str | None,
    url: str | None,
) -> None:
    (row,) = load(write(package(device=device))).app
    assert (row.model_path, row.model_url) == (path, url)


def test_a_library_that_no_entry_names_is_for_the_mac_that_mlc_variables_name(
    write: Callable[..., str],
    package: Callable[..., dict[str, Any]],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "ready.tar").touch()
    spec = write(package(device="macabi", **{LIBRARIES: {"more": "ready.tar"}}))
    assert [job.host for job in load(spec).prebuilt] == ["auto"]
    monkeypatch.setenv("MLC_MACABI_ARCH", "x86_64")
    (job,) = load(spec).prebuilt
    assert job.host == "x86_64-apple-ios18.0-macabi"
