"""Lost frames are counted and reported in a few lines."""

from __future__ import annotations

import itertools

from mien.media.loss_report import LossReport


def test_only_a_few_of_many_faults_get_a_line_each() -> None:
    losses = LossReport(25.0)
    for index in range(1000):
        if index % 10 == 5:
            losses.add_undecodable(index, index / 25)
        else:
            losses.add_decoded(index, index / 25, key=index % 10 == 0)
    assert losses.lost == 100
    assert len(losses.problems) == 9
    assert losses.problems[0] == (
        "frame 5 (0.20 s) could not be decoded; those behind, up to the key frame at 0.40 s, may show traces of the "
        "damage"
    )
    assert losses.problems[-1] == "in other places 92 more could not be decoded"


def test_pauses_of_a_variable_rate_are_no_holes() -> None:
    losses = LossReport(25.0)
    for index, time in enumerate(itertools.accumulate([0.04, 0.04, 0.8] * 50)):
        losses.add_decoded(index, time, key=True)
    assert losses.lost == 0
    steady = LossReport(25.0)
    for index in range(100):
        steady.add_decoded(index, index / 25 + (2.0 if index >= 60 else 0.0), key=True)
    assert steady.lost == 50
    assert steady.problems == ("from 2.40 to 4.40 s about 50 frames are missing in the file",)
