"""What tracking and smoothing in the browser are given: the constants of the Python modules."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mien import defaults
from mien.detect import single_shot
from mien.detect.mien import NEAR_CONFIDENCE, MienDetector
from mien.pipeline import video
from mien.predict.model_set import ModelSet
from mien.resampling import LUMA
from mien.results.face_columns import face_columns
from mien.results.schema_ids import FRAME, REPORT
from mien.results.track_columns import EPISODE_COLUMNS, track_columns
from mien.smoothing import head_state, smoother, voting
from mien.smoothing.options import SmoothingOptions
from mien.tracking import appearance, propagation, scene_cuts, tracker
from mien.tracking.options import TrackingOptions


def video_config(models: ModelSet) -> dict[str, Any]:
    """JSON-ready; read by ``device/video_pipeline.js`` and the modules that it imports."""
    smoothing = SmoothingOptions()
    return {
        "tracking": asdict(TrackingOptions()),
        "min_gap_frames": video.MIN_GAP_FRAMES,
        "interval": 1 / defaults.FRAME_RATE,
        "live_min_face": defaults.LIVE_MIN_FACE,
        "near": {
            "confidence": NEAR_CONFIDENCE,
            "crop_side": single_shot.CROP_SIDE,
            "crop_reach": single_shot.CROP_REACH,
            "same_face": single_shot.SAME_FACE_IOU,
            "duplicate": single_shot.DUPLICATE_IOU,
            "recovery_score": MienDetector.recovery_score,
        },
        "propagation": {"same_face": propagation.SAME_FACE_IOU, "cover": propagation.SAME_FACE_COVER},
        "tracker": {
            "recent": tracker.RECENT,
            "centre": asdict(tracker.CENTRE),
            "size": asdict(tracker.SIZE),
            "border_noise": tracker.BORDER_NOISE,
            "tail": tracker.TAIL,
            "new": tracker.NEW,
            "absent": tracker.ABSENT,
            "absent_seconds": tracker.ABSENT_SECONDS,
            "max_appearance": tracker.MAX_APPEARANCE,
            "neutral_distance": tracker.NEUTRAL_DISTANCE,
            "descriptor_seconds": tracker.DESCRIPTOR_SECONDS,
            "aspect_seconds": tracker.ASPECT_SECONDS,
        },
        "appearance": {
            "cell": appearance.CELL,
            "samples": appearance.SAMPLES,
            "parts": [list(appearance.HEAD), list(appearance.CHEST)],
            "dark": appearance.DARK,
            "weights": appearance.WEIGHTS.tolist(),
            "half_distance": appearance.HALF_DISTANCE,
            "body": appearance.BODY.tolist(),
        },
        "cuts": {
            "width": scene_cuts.WIDTH,
            "height": scene_cuts.HEIGHT,
            "samples": scene_cuts.SAMPLES,
            "block": scene_cuts.BLOCK,
            "reach": scene_cuts.REACH,
            "covered": scene_cuts.COVERED,
            "other": scene_cuts.OTHER,
            "unlike": scene_cuts.UNLIKE,
            "other_colours": scene_cuts.OTHER_COLORS,
            "brighter": scene_cuts.BRIGHTER,
            "drop": scene_cuts.DROP,
            "smooth": scene_cuts.SMOOTH,
            "blank": scene_cuts.BLANK,
            "still": scene_cuts.STILL,
            "memory": scene_cuts.MEMORY,
            "settle": scene_cuts.SETTLE,
            "luma": LUMA.tolist(),
            "bins": scene_cuts.BINS,
            "dark": scene_cuts.DARK,
        },
        "smoothing": asdict(smoothing) | {"half_width": smoothing.half_width, "look_ahead": smoothing.look_ahead},
        "pooling": {"lead": head_state.LEAD, "min_probability": head_state.MIN_PROBABILITY},
        "views": {"large": smoother.LARGE, "min_weight": smoother.MIN_WEIGHT},
        "votes": {
            "z": voting.Z,
            "student": list(voting.STUDENT),
            "block": voting.BLOCK,
            "max_blocks": voting.MAX_BLOCKS,
            "prior": voting.PRIOR,
        },
        "schemas": {"frame": FRAME, "report": REPORT},
        "digits": _digits(models),
    }


def _digits(models: ModelSet) -> dict[str, int]:
    """Decimals of each kind of number in the tables of videos, by the last name that leads to it."""
    digits: dict[str, int] = {}
    for column in face_columns(models.heads, video=True):
        if column.digits is not None:
            name = str(column.path[-1] if column.path else column.name)
            if len(column.path) > 1:
                name = str(column.path[2]) if column.path[0] == "predictions" else str(column.path[0])
            digits[f"face_{name}"] = column.digits
    for track_column in track_columns(models.heads):
        if track_column.digits is not None:
            path = track_column.path
            digits[f"track_{path[2] if path[0] == 'predictions' else path[0]}"] = track_column.digits
    digits |= {f"episode_{c.path[0]}": c.digits for c in EPISODE_COLUMNS if c.digits is not None}
    return digits
