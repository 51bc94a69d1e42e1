"""How predictions are smoothed over time: one frozen value, passed whole from Python, command line and service.

Files are smoothed with frames before and after each, cameras and streams with those before alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mien import defaults
from mien.arguments import set_plain_numbers
from mien.errors import InputError

FLAGGED = ("keep", "weigh", "leave-out")
"""Values of `SmoothingOptions.flagged`."""
TIME_TOLERANCE = 1e-9
"""Seconds by which rounding errors may keep a sum of times below a limit."""
_POSITIVE = ("window", "vote_seconds")
_NOT_NEGATIVE = ("time_constant", "min_label", "change_cost", "hold", "settle", "min_episode", "bridge")


@dataclass(frozen=True, slots=True)
class SmoothingOptions:
    """Options of `mien.smoothing.Smoother`.

    Attributes:
        time_constant: of the filter, seconds; 0 disables it. For files, a symmetric one with the same noise.
        min_label: seconds that a stable label stands at least.
        change_cost: files: probability × seconds that a change of the stable label must gain.
        margin: live: another label becomes the stable one at once when its filtered probability leads by this much.
        hold: live: or when the stable label has not led for this many seconds.
        settle: live: seconds that a face is observed before it gets its first stable label.
        window: length of the sliding window over which frames vote, seconds.
        vote_seconds: seconds of frames that count as one independent vote, as long as the votes do not show it.
        min_episode: least length of an episode, seconds.
        bridge: longest gap in seconds between two stretches of one label that are one episode.
        flagged: what frames count in which a face is flagged, such as "turned" or "dark" (`mien.results.view.FLAGS`):
            "keep" as any other; "weigh" with `mien.defaults.FLAGGED_WEIGHT` in filter, stable label, means and pools
            (a vote stays a vote); "leave-out" not at all, as if the model had not run.

    Raises:
        InputError: a value out of range.

    Examples:
        >>> options = SmoothingOptions(time_constant=0.5, window=2.0)
        >>> options.half_width, options.look_ahead
        (0.75, 0.75)
        >>> analyzer.video("clip.mp4", smoothing=options).tracks[0].emotion
        'happy'
    """

    time_constant: float = defaults.TIME_CONSTANT
    min_label: float = defaults.MIN_LABEL
    change_cost: float = defaults.CHANGE_COST
    margin: float = defaults.MARGIN
    hold: float = defaults.HOLD
    settle: float = defaults.SETTLE
    window: float = defaults.WINDOW
    vote_seconds: float = defaults.VOTE_SECONDS
    min_episode: float = defaults.MIN_EPISODE
    bridge: float = defaults.BRIDGE
    flagged: str = defaults.FLAGGED

    def __post_init__(self) -> None:
        set_plain_numbers(self, *_POSITIVE, *_NOT_NEGATIVE, "margin")
        for name in _POSITIVE:
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is a number of seconds above 0, got {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} is a number of seconds, 0 or more, got {getattr(self, name)}")
        if self.flagged not in FLAGGED:
            raise InputError(f"flagged is one of {', '.join(FLAGGED)}, got {self.flagged!r}")
        if not 0.0 <= self.margin <= 1.0:
            raise InputError(f"margin is a difference of probabilities between 0 and 1, got {self.margin}")

    @property
    def half_width(self) -> float:
        """Half the width of the filter for files, seconds: it averages as much noise as the causal one."""
        return 1.5 * self.time_constant

    @property
    def look_ahead(self) -> float:
        """Seconds of later frames that determine the results of a frame of a file."""
        return max(self.half_width, 2.0 * self.min_label, 5.0 * self.change_cost)
