"""The page on devices, held to the tables."""

import re
from pathlib import Path

import pytest

from mlcx.spec.devices import DEVICES, Device
from mlcx.toolchain.needs import needs
from mlcx.toolchain.tools import TOOLS
from mlcx.toolchain.triple import AUTO, parse

PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text()


def row(device: Device) -> str:
    suffixes = device.suffixes(AUTO) if device.static else (device.suffix,)
    host = "this machine" if device.host == AUTO else f"`{device.host}`"
    made = ", ".join(f"`{suffix}`" for suffix in suffixes)
    found = needs(device.kind, parse(device.host), suffixes[-1])
    tools = ", ".join(need.tool.name for need in found)
    return f"| `{device.name}` | {device.kind} | {host} | {made} | {tools} |"


def test_the_table_of_devices_is_the_programs() -> None:
    table = [line for line in PAGE.splitlines() if re.match(r"\| `.*` \| \w+ \|", line)]
    assert table == [row(device) for device in DEVICES.values()]


def test_the_remedies_shown_are_the_programs() -> None:
    shown = re.findall(r"^  missing  (.{21})  (.*)$", PAGE, re.MULTILINE)
    assert shown
    assert all(TOOLS[name.strip()].remedy == remedy for name, remedy in shown)


HOSTS = re.findall(r"^\| (`[^|]*-[^|]*`) \| (`\.[^|]*) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("hosts", "suffixes"), HOSTS)
def test_what_comes_out_for_a_host_is_said(hosts: str, suffixes: str) -> None:
    for host in re.findall("`([^`]*)`", hosts):
        expected = tuple(re.findall("`([^`]*)`", suffixes))
        assert DEVICES["cpu"].suffixes(host) == expected
