"""When a lost connection is made again."""

from __future__ import annotations

import pytest

from mien.errors import InputError, MienError, VideoError
from mien.media.connection import ConnectionLostError, ReconnectPolicy


def test_waits_grow_to_a_limit() -> None:
    policy = ReconnectPolicy(first_wait=0.5, wait_factor=2.0, max_wait=30.0)
    assert [policy.wait_before(i) for i in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert policy.wait_before(10**6) == 30.0
    for options in ({"max_attempts": -1}, {"first_wait": -1.0}, {"wait_factor": 0.5}, {"max_wait": 0.1}):
        with pytest.raises(InputError):
            ReconnectPolicy(**options)  # type: ignore[arg-type]


def test_errors_are_ours() -> None:
    assert issubclass(ConnectionLostError, VideoError)
    assert issubclass(VideoError, MienError)
    assert issubclass(VideoError, ValueError)
