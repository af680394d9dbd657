"""What a build would do, in words and figures."""

from __future__ import annotations

from mlcx.report.outlook import MOST, Outlook, as_json, shown
from mlcx.steps.about import About

ROWS = [
    Outlook("gen_config", About("one", "q4"), "a", "to build", "new"),
    Outlook(
        "convert_weight", About("one", "q4"), "b", "to build", "new", bytes=1, seconds=9
    ),
    Outlook(
        "normalize",
        About("one", "q4"),
        "c",
        "in cache",
        "new",
        remote=True,
        level="s3://bucket",
        bytes=600,
    ),
    Outlook("compile", About("one", "q4", "cpu"), "d", "up to date", "", bytes=7000),
    Outlook("app_config", About(), "e", "perhaps", "if d comes out different"),
]


def test_the_table_says_it_all_and_a_dash_what_is_not_known() -> None:
    assert shown(ROWS, None).splitlines() == [
        "step            model  quantization  device  "
        "next build       since                      size    time",
        "gen_config      one    q4                    "
        "to build         new                                   -",
        "convert_weight  one    q4                    "
        "to build         new                         1 B  9.00 s",
        "normalize       one    q4                    "
        "in remote cache  new                       600 B",
        "compile         one    q4            cpu     "
        "up to date                                  7 kB",
        "app_config                                   "
        "perhaps          if d comes out different              -",
        "mlcx: 1 up to date, 1 in remote cache, 2 to build, 1 perhaps; "
        "up to 9.00 s as last built, and 2 steps of unknown length",
    ]


def test_one_step_is_one() -> None:
    said = shown(ROWS[:2], None).splitlines()[-1]
    assert said.endswith("9.00 s as last built, and 1 step of unknown length")


def test_json_has_each_step_and_the_totals() -> None:
    found = as_json(ROWS)
    assert found["steps"][2] == {
        "verb": "normalize",
        "model": "one",
        "quantization": "q4",
        "device": None,
        "overrides": None,
        "target": "c",
        "state": "in cache",
        "since": "new",
        "remote": True,
        "level": "s3://bucket",
        "bytes": 600,
        "seconds": None,
    }
    assert found["totals"] == {
        "steps": 5,
        "states": {"up to date": 1, "in cache": 1, "to build": 2, "perhaps": 1},
        "bytes": 1,
        "seconds": 9,
        "unknown_seconds": 2,
    }


def test_of_many_steps_those_that_say_the_same_are_one_line() -> None:
    rows = [
        Outlook(
            "compile", About(f"m{n}", "q4", "cpu"), str(n), "up to date", "", bytes=1000
        )
        for n in range(MOST)
    ]
    more = Outlook("compile", About("m1", "q4", "cuda"), "x", "to build", "new")
    assert len(shown([*rows[1:], more], None).splitlines()) == MOST + 2
    assert shown([*rows, more], None).splitlines() == [
        "step     model      quantization  device  next build  since   size  time",
        f"compile  {MOST} models  q4            cpu     up to date         40 kB",
        "compile  m1         q4            cuda    to build    new              -",
        f"mlcx: {MOST} up to date, 1 to build",
    ]
    whole = shown([*rows, more], None, whole=True)
    assert len(whole.splitlines()) == MOST + 3
