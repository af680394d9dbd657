from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from mlcx.errors import InputError
from mlcx.runtime.quality.figures import Figures
from mlcx.runtime.quality.reference import Origin
from mlcx.runtime.quality.verdict import Measurement, Thresholds, faults, read, table

FIGURES = Figures(512, 0.03, 1.2, 0.9375, 4.5, 510, math.log(6), math.log(5))
ORIGIN = Origin("llama", "q0f32", "cpu", "tale.txt")
MEASURED = Measurement("m.so", "q4f16_1", "cpu", 256, ORIGIN, FIGURES)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Thresholds(), []),
        (Thresholds(max_kl=0.03, min_top1=0.9375), []),
        (
            Thresholds(max_kl=0.02),
            ["mean KL divergence 0.03 nats per token, at most 0.02 allowed"],
        ),
        (
            Thresholds(max_kl=0.5, min_top1=0.95),
            ["top-1 agreement 0.9375, at least 0.95 required"],
        ),
    ],
)
def test_a_threshold_is_kept_when_it_is_just_reached(
    limits: Thresholds, expected: list[str]
) -> None:
    assert faults(FIGURES, limits) == expected


def test_figures_that_are_no_numbers_keep_no_threshold() -> None:
    spoilt = replace(FIGURES, mean_kl=math.nan, top1=math.nan)
    assert len(faults(spoilt, Thresholds(1.0, 0.0))) == 2


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "q.json"
    file.write_text(json.dumps(MEASURED.to_dict()))
    assert read(file) == MEASURED


def test_json_has_both_perplexities_unless_there_is_no_such_number() -> None:
    assert MEASURED.to_dict()["figures"]["perplexity"] == pytest.approx(6)
    assert MEASURED.to_dict()["figures"]["reference_perplexity"] == pytest.approx(5)
    hopeless = replace(MEASURED, figures=replace(FIGURES, cross_entropy=1e4))
    assert hopeless.to_dict()["figures"]["perplexity"] is None
    json.dumps(hopeless.to_dict(), allow_nan=False)
    assert "inf" in table(hopeless, Thresholds())


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "q.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="expected mlcx-quality, found none"):
        read(file)


def test_a_person_gets_the_figures_with_units_and_limits() -> None:
    assert table(MEASURED, Thresholds(0.05, 0.9)).splitlines() == [
        "m.so (q4f16_1, cpu) against q0f32 on cpu: 512 tokens of tale.txt, at most 256 "
        "at a time",
        "  KL divergence, mean                0.03  nats per token, at most 0.05",
        "  KL divergence, largest              1.2  nats",
        "  top-1 agreement                  0.9375  at least 0.9",
        "  logits, largest difference          4.5",
        "  perplexity                            6  reference 5, +20.00%",
    ]
