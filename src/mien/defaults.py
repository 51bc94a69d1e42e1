"""Every default once: Python, the command line and the service read it here.

An option has one name in all three. Defaults of a single class that no other module reads are in that class.
"""

from __future__ import annotations

from typing import Final

DETECTOR: Final = "mien"
"""Name of the face detector."""
DEVICE: Final = "cpu"
"""What networks run on, see `mien.models.devices.DEVICES`."""
MODELS: Final = ("emotion", "age")
"""Names of the models that run on every face."""
MIN_FACE: Final[int | None] = None
"""Height of the smallest face to detect in photos and videos, pixels; None for the two values below."""
SMALLEST_FACE: Final = 16
"""Height of the smallest face to detect in pictures whose longer side is at most `SMALLEST_FACE_SIDE`, pixels."""
SMALLEST_FACE_SIDE: Final = 1280
"""Longer side above which the smallest face grows in proportion, so that a picture's size does not change the cost."""
OTHERS_SMALLEST_FACE: Final = 40
"""The same as `SMALLEST_FACE` for detectors of other projects that take long for small faces: MTCNN and Haar."""
LIVE_MIN_FACE: Final = 40
"""Height of the smallest face to detect in cameras and streams, which have to be analysed in real time, pixels."""
CHECK_MIN_FACE: Final = 60
"""The same where a dataset is checked for pictures without a face; they are enlarged first."""
DETECT_EVERY: Final = 1
"""Detect faces in every N-th frame and propagate them in between."""
LIVE_DETECT_EVERY: Final = 3
"""The same for cameras and streams."""
EVERY: Final = 1
"""Take every N-th frame of a video."""
FRAME_RATE: Final = 25.0
"""Frames per second of numbered pictures, and of a video or camera that states no rate."""
FRAME_INTERVAL: Final = 1 / FRAME_RATE
"""Seconds from frame to frame where that is not known, as before the second frame."""
MAX_GAP: Final = 3.0
"""Seconds that a face may be hidden and still be the same track."""
MIN_TRACK: Final = 0.4
"""Seconds that a face must be visible to be reported as a track."""
TIME_CONSTANT: Final = 0.5
"""Time constant of the filter on the emotions of a track, seconds; 0 disables it."""
WINDOW: Final = 4.0
"""Length of the sliding window over which frames vote, seconds."""
MIN_EPISODE: Final = 0.5
"""Least length of an episode, seconds."""
POOLED_INTERVAL: Final = 0.2
"""Seconds between two predictions of an ordered head, such as age, for the same face: it changes slowly."""
MARGIN: Final = 0.15
"""Lead of filtered probability with which another label becomes the stable one at once."""
HOLD: Final = 0.5
"""Seconds without the lead after which a stable label is given up."""
SETTLE: Final = 0.2
"""Seconds that a face is observed before it gets its first stable label."""
MIN_LABEL: Final = 0.3
"""Seconds that a stable label stands at least."""
CHANGE_COST: Final = 0.1
"""Probability × seconds that a change of the stable label must gain, where later frames are known."""
VOTE_SECONDS: Final = 0.4
"""Seconds of frames that count as one independent vote, as long as the votes themselves do not show it."""
FLAGGED: Final = "keep"
"""What videos do with frames in which a face is flagged: "keep", "weigh" or "leave-out"."""
FLAGGED_WEIGHT: Final = 0.25
"""Weight of such a frame with "weigh"; others have 1."""
CHANGE: Final = 0.25
"""Rise of a smoothed probability above a person's resting face from which on it is an episode of change."""
BRIDGE: Final = 0.5
"""Longest gap between two stretches of one label that are one episode, seconds."""
ONSET_TOLERANCE: Final = 0.5
"""Seconds between the onsets of two events that are the same in two codings."""
AGREEMENT_BLOCK: Final = 5.0
"""Length of the blocks of time that are resampled for the agreement of two codings, seconds."""
AGREEMENT_RESAMPLES: Final = 2000
"""Resamples behind an interval of the agreement of two codings."""
DECODE_SECONDS: Final = 120.0
"""Processor time that the command line lets a picture, or a packet of a video, take to be decoded, seconds."""
DECODE_BYTES: Final = 4 << 30
"""Memory that the command line lets a picture or a video take to be decoded, bytes."""
MAX_THREADS: Final = 4
"""Processor threads at most where their number is not given."""
TOP: Final = 3
"""Number of labels to show per face."""
FLUSH_SECONDS: Final = 2.0
"""Seconds between two flushes of files that grow: the most work that a kill loses, besides what is being analysed."""
SHARD_SIZE: Final = 500
"""Photos per shard of a batch; about ten to twenty seconds of work."""
EXPORTS = "exports"
"""Folder of `mien analyze --export` without ``--export-to``."""
ABSTAIN: Final = 0.0
"""Probability below which a label is shown as uncertain."""
PORT: Final = 8000
"""TCP port of the service."""
HOST: Final = "127.0.0.1"
"""Address that the service listens on: this machine alone."""
PAGE_PIXELS: Final = 25_000_000
"""Pixels of a photo above which the service and the page shrink it, or refuse it."""
PAGE_FACES: Final = 100
"""Faces of a photo or frame that the service and the page return at most, the best scores first."""

TURNED_YAW: Final = 30.0
"""Rotation to a side above which a face is flagged as turned away, degrees."""
TURNED_PITCH: Final = 30.0
"""The same, up or down."""
SMALL: Final = 24
"""Shorter side below which a face is flagged as small, pixels."""
DARK: Final = 40.0
"""Mean gray level below which a face is flagged as dark, 0-255."""
BLURRED: Final = 0.35
"""Sharpness (`mien.results.view.pixel_measures`) below which a face is flagged as blurred."""
COVERED: Final = 0.5
"""Probability above which a face is flagged as partly covered."""
UNLIKE: Final = 1.0
"""Distance from the training images above which a face is flagged; one in a hundred of other images is further."""

SPLIT_SHARES: Final = (80.0, 10.0, 10.0)
"""Shares of train, validation and test where a dataset has no splits, per cent."""
SPLIT_SEED: Final = 0
"""Seed of the choice."""
MAX_HASH_BITS: Final = 16
"""Of 64 bits in which the perceptual hashes of near duplicates differ at most."""
MIN_SIMILARITY: Final = 0.9
"""Least cosine of the HOG vectors of near duplicates."""
MIN_CONTRAST: Final = 2.0
"""Least standard deviation of the gray levels of a usable picture, 0-255."""
MIN_SHARPNESS: Final = 400.0
"""Least variance of the Laplacian of a usable picture, at 48x48 pixels."""
NOT_A_FACE_VOTES: Final = 5
"""FER+ votes for "not a face" with which a picture counts as one without a face."""
MAX_VOTE_ENTROPY: Final = 2.0
"""Greatest entropy of the FER+ votes of a usable picture, bits."""
MAX_LABEL_ODDS: Final = 10.0
"""How many times more probable another label may be for a classifier than the label of a usable picture."""

BOOTSTRAP_SAMPLES: Final = 1000
"""Resamples behind an interval."""
INTERVAL_LEVEL: Final = 0.95
"""Probability with which an interval holds the figure."""
PASTED_FACE_SIDE: Final = 96
"""Side to which faces of a prepared dataset are enlarged in whole pictures, pixels."""
CALIBRATION_IMAGES: Final = 512
"""Training images on which the ranges of activations are measured for a model in 8 bits."""
