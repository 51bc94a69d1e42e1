"""How a face moves: a Kalman filter over its centre and the logarithm of its size, in seconds. NumPy only.

A value has a velocity that forgets: left alone it decays with time constant τ while chance renews it (an
Ornstein-Uhlenbeck process). For a short while that is motion at constant velocity; over a long absence the face is
expected near where it would have come to rest, with an uncertainty that goes on growing. Predicting over a + b seconds
gives exactly what predicting over a and then over b gives, so nothing depends on the frame rate.

Centre and size are filtered apart. Both coordinates of the centre share one covariance: they are measured at the same
times, equally well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionModel:
    """One kind of movement.

    Attributes:
        speed: standard deviation of the velocity of a face that nothing is known about, units a second.
        memory: time constant τ of the velocity, seconds.
        noise: standard deviation of a measurement, units.
    """

    speed: float
    memory: float
    noise: float


def advance(mean: Floats, spread: Floats, seconds: float, process: MotionModel, unit: Floats) -> tuple[Floats, Floats]:
    """What is known after a time without measurement.

    Args:
        mean: ``(m, k, 2)``, value and velocity of k quantities that share a covariance.
        spread: ``(m, 3)``: variance of the value, covariance, variance of the velocity.
        seconds: ≥ 0.
        process: how the quantities move.
        unit: ``(m,)`` what one unit of ``process`` is (the size of each face in pixels).

    Returns:
        Mean and spread, new arrays.
    """
    ratio = seconds / process.memory
    fade = np.exp(-ratio)
    reach = -process.memory * np.expm1(-ratio)
    moved = mean.copy()
    moved[..., 0] += reach * mean[..., 1]
    moved[..., 1] *= fade
    power = (process.speed * unit) ** 2
    # of a velocity that varies with variance 1; the first is a small difference of large terms when seconds is small
    wander = max(process.memory**2 * (2 * ratio + 4 * np.expm1(-ratio) - np.expm1(-2 * ratio)), 0.0)
    both = process.memory * np.expm1(-ratio) ** 2
    renewed = -np.expm1(-2 * ratio)
    value, cross, velocity = spread.T
    grown = np.stack(
        [
            value + 2 * reach * cross + reach**2 * velocity + wander * power,
            fade * (cross + reach * velocity) + both * power,
            fade**2 * velocity + renewed * power,
        ],
        axis=1,
    )
    return moved, grown


def correct(mean: Floats, spread: Floats, measured: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """What is known after a measurement.

    Args:
        mean: ``(m, k, 2)`` as for `advance`.
        spread: ``(m, 3)``.
        measured: ``(m, k)``, the values.
        variance: ``(m,)`` of the measurements.

    Returns:
        Mean and spread, new arrays.
    """
    value, cross, velocity = spread.T
    total = value + variance
    gain = np.stack([value / total, cross / total], axis=1)
    surprise = measured - mean[..., 0]
    better = mean + gain[:, None, :] * surprise[..., None]
    # the value's variance as a product of positive numbers, so that it stays positive however often this is done
    left = np.stack([value * variance / total, cross * variance / total, velocity - cross**2 / total], axis=1)
    return better, left
