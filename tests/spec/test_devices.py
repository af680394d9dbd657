"""The table of devices: names, hosts, and what their libraries end in."""

import pytest

from mlcx.errors import UsageError
from mlcx.spec.devices import DEVICES, Device
from mlcx.toolchain.triple import AUTO, parse


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_makes_what_its_host_can_hold(name: str) -> None:
    device = DEVICES[name]
    assert device.name == name
    assert device.host_for(AUTO) == device.host
    assert device.suffixes(AUTO)[0] == device.suffix
    assert device.suffix in parse(device.host).suffixes


@pytest.mark.parametrize(
    ("host", "suffixes"),
    [
        ("auto", (".so", ".tar", ".a")),
        ("aarch64-linux-gnu", (".so", ".tar", ".a")),
        ("arm64-apple-macosx11.0.0", (".dylib", ".so", ".tar", ".a")),
        ("arm64-apple-ios14.0", (".tar", ".a")),
        ("x86_64-pc-windows-msvc", (".dll",)),
    ],
)
def test_the_host_decides_for_a_device_that_runs_on_any(
    host: str, suffixes: tuple[str, ...]
) -> None:
    assert DEVICES["cpu"].suffixes(host) == suffixes


@pytest.mark.parametrize(
    ("system", "suffixes"),
    [
        ("linux", (".so", ".tar", ".a")),
        ("darwin", (".so", ".dylib", ".tar", ".a")),
        ("win32", (".dll",)),
    ],
)
def test_this_machine_decides_where_no_host_is_named(
    monkeypatch: pytest.MonkeyPatch, system: str, suffixes: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.platform", system)
    assert DEVICES["cpu"].suffixes(AUTO) == suffixes


def test_a_device_of_one_system_takes_another_version_of_it() -> None:
    iphone = DEVICES["iphone"]
    assert iphone.host_for("arm64-apple-ios17.0") == "arm64-apple-ios17.0"
    assert iphone.suffixes("arm64-apple-ios17.0") == (".tar", ".a")
    with pytest.raises(UsageError, match="iphone runs on a host like arm64-apple-ios"):
        iphone.host_for("aarch64-linux-gnu")


def test_a_static_library_is_one_for_an_app() -> None:
    static = [device.name for device in DEVICES.values() if device.static]
    assert static == ["iphone", "macabi", "android", "android:adreno"]
    assert Device("x", ".tar", static=True).suffixes(AUTO) == (".tar", ".a")
