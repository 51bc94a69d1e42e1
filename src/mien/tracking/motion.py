"""Motion of a face: a Kalman filter over its centre and the logarithm of its size, in seconds. NumPy only.

The velocity of a value is an Ornstein-Uhlenbeck process: it decays with time constant τ and is renewed by noise. Over a
short time that is motion at constant velocity; over a long absence the face is expected near where it would have come
to rest, with an uncertainty that continues to grow. Predicting over a + b seconds gives exactly the same as predicting
over a and then over b, so nothing depends on the frame rate.

Centre and size are filtered separately. Both coordinates of the centre share one covariance: they are measured at the
same times with the same accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionModel:
    """Parameters of the motion of one quantity.

    Attributes:
        speed: standard deviation of the velocity of a new face, units per second.
        memory: time constant τ of the velocity, seconds.
        noise: standard deviation of a measurement, units.
    """

    speed: float
    memory: float
    noise: float


def advance(mean: Floats, spread: Floats, seconds: float, process: MotionModel, unit: Floats) -> tuple[Floats, Floats]:
    """The prediction step: the state after a time without measurement.

    Args:
        mean: ``(m, k, 2)``, value and velocity of k quantities that share a covariance.
        spread: ``(m, 3)``: variance of the value, covariance, variance of the velocity.
        seconds: ≥ 0.
        process: how the quantities move.
        unit: ``(m,)`` length of one unit of ``process`` (the size of each face, pixels).

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
    # of a velocity with variance 1; the first is a small difference of large terms where seconds is small
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
    """The correction step: the state after a measurement.

    Args:
        mean: ``(m, k, 2)`` as for `advance`.
        spread: ``(m, 3)``.
        measured: ``(m, k)``, the measured values.
        variance: ``(m,)`` variances of the measurements.

    Returns:
        Mean and spread, new arrays.
    """
    value, cross, velocity = spread.T
    total = value + variance
    gain = np.stack([value / total, cross / total], axis=1)
    innovation = measured - mean[..., 0]
    new_mean = mean + gain[:, None, :] * innovation[..., None]
    # the value's variance as a product of positive numbers, so that it stays positive after any number of steps
    new_spread = np.stack([value * variance / total, cross * variance / total, velocity - cross**2 / total], axis=1)
    return new_mean, new_spread
