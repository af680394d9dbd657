"""What MLC's variables say of a library's host, when nothing else does."""

import pytest

from mlcx.errors import UsageError
from mlcx.spec.devices import DEVICES
from mlcx.spec.options import host_for, text_of

ARCH, VERSION = "MLC_MACABI_ARCH", "MLC_MACABI_DEPLOYMENT_TARGET"
OTHER = "arm64-apple-ios17.0-macabi"


@pytest.mark.parametrize(
    ("environ", "device", "given", "host"),
    [
        ({}, "macabi", "auto", "auto"),
        ({ARCH: "", VERSION: ""}, "macabi", "auto", "auto"),
        ({ARCH: "x86_64"}, "macabi", "auto", "x86_64-apple-ios18.0-macabi"),
        ({VERSION: "17.2"}, "macabi", "auto", "arm64-apple-ios17.2-macabi"),
        ({ARCH: "x86_64", VERSION: "17.2"}, "macabi", OTHER, OTHER),
        ({ARCH: "x86_64"}, "iphone", "auto", "auto"),
    ],
)
def test_mac_catalyst_is_for_the_mac_that_the_variables_name(
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    device: str,
    given: str,
    host: str,
) -> None:
    for name in (ARCH, VERSION):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert host_for(DEVICES[device], given) == host
    assert DEVICES[device].host_for(host) == (
        host if host != "auto" else DEVICES[device].host
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (ARCH, "arm", "MLC_MACABI_ARCH: expected arm64 or x86_64, found 'arm'"),
        (VERSION, "18; rm", "expected a version such as 18.0, found '18; rm'"),
    ],
)
def test_another_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        host_for(DEVICES["macabi"], "auto")


def test_a_number_that_python_does_not_print_is_refused() -> None:
    with pytest.raises(UsageError, match="a number has too many digits"):
        text_of(10**5000)
