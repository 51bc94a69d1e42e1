from __future__ import annotations

import pytest

from mien.networks.catalog import NETWORKS

# counts that the sources print or that follow from their layers, without and with batch statistics
PRINTED = {
    "compact-vgg": (668_583, 670_183),
    "small-cnn": (2_863_495, 2_864_903),
    "large-cnn": (4_474_759, 4_478_727),
    "mini-xception": (56_951, 58_423),
    "age-cnn": (422_695, 422_695),
    "age-cnn-small": (64_983, 64_983),
    "attention-sequential": (66_877, 66_897),
    "attention-parallel": (47_524, 47_544),
    "attention-deep": (48_434, 48_454),
    "ferplus-vgg13": (8_757_704, 8_757_704),
}


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_are_those_of_the_source(name: str) -> None:
    row = NETWORKS[name]
    assert (row.parameters, row.parameters + row.statistics) == PRINTED[name]
