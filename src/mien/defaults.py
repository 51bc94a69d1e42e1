"""Every default once: Python, the command line and the service read it here.

An option has one name in all three. Defaults of a single class that no one else reads stand on that class.
"""

from __future__ import annotations

from typing import Final

DETECTOR: Final = "mtcnn"
"""Name of the face detector."""
MODELS: Final = ("emotion", "age")
"""Names of the models that run on every face."""
MIN_FACE: Final = 40
"""Side of the smallest face to detect in photos and videos, pixels."""
LIVE_MIN_FACE: Final = 60
"""The same for cameras and streams, where time is short."""
CHECK_MIN_FACE: Final = 60
"""The same where a dataset is checked for pictures without a face; they are enlarged first."""
DETECT_EVERY: Final = 1
"""Detect faces in every N-th frame and propagate them in between."""
LIVE_DETECT_EVERY: Final = 3
"""The same for cameras and streams."""
EVERY: Final = 1
"""Take every N-th frame of a video."""
MAX_GAP: Final = 3.0
"""Seconds that a face may be hidden and still be the same track."""
MIN_TRACK: Final = 0.4
"""Seconds that a face must be seen to be reported as a track."""
TIME_CONSTANT: Final = 0.5
"""Time constant of the filter on the emotions of a track, seconds; 0 disables it."""
WINDOW: Final = 4.0
"""Length of the sliding window over which frames vote, seconds."""
MIN_EPISODE: Final = 0.5
"""Seconds below which a stretch of one label is no episode."""
MAX_THREADS: Final = 4
"""Processor threads at most where none are asked for."""
TOP: Final = 3
"""Number of labels to show per face."""
SHARD_SIZE: Final = 500
"""Photos in a shard of a batch; about the work of ten to twenty seconds."""
ABSTAIN: Final = 0.0
"""Probability below which a label is shown as uncertain."""
