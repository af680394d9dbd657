"""The page on passes, held to the folder."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_pass_is_on_the_page() -> None:
    page = (ROOT / "docs" / "passes.md").read_text()
    files = (ROOT / "mlcx" / "compiler" / "passes").glob("*.py")
    passes = {path.stem for path in files} - {"__init__"}
    assert len(passes) > 25
    assert {name for name in passes if f"`{name}`" not in page} == set()
