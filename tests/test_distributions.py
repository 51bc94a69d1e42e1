"""Entropy of distributions, in bits and as a share of what it can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.distributions import entropy, normalised_entropy, vote_shares


def test_entropy_in_bits() -> None:
    values = entropy(np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0, 0, 0, 0]]))
    assert values.tolist() == pytest.approx([0, 1, 2, 0])


def test_normalised_entropy() -> None:
    values = normalised_entropy(np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], np.float32))
    assert values.tolist() == pytest.approx([0, 1, 0.5], abs=1e-6)
    assert values.dtype == np.float32


@given(st.integers(2, 10), st.integers(0, 1000))
@settings(max_examples=50)
def test_entropy_is_between_0_and_1_and_independent_of_order(k: int, seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), 4).astype(np.float32)
    values = normalised_entropy(p)
    assert ((values >= 0) & (values <= 1)).all()
    assert np.allclose(values, normalised_entropy(p[:, ::-1].copy()), atol=1e-5)


@given(st.integers(2, 10), st.integers(0, 1000))
@settings(max_examples=20)
def test_both_entropies_agree(k: int, seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), 4)
    np.testing.assert_allclose(normalised_entropy(p.astype(np.float32)), entropy(p) / np.log2(k), atol=1e-5)


def test_shares_of_votes() -> None:
    np.testing.assert_allclose(vote_shares(np.array([[8, 2], [0, 0]])), [[0.8, 0.2], [0, 0]])
