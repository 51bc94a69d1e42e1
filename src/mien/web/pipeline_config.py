"""What the pipeline in the browser is given: the constants of the Python modules, and the cards of the models."""

from __future__ import annotations

from typing import Any

from mien import defaults
from mien.detect import landmark_refinement, mien, plausibility, raw_output, single_shot
from mien.models.card import Head
from mien.models.label_sets import FUZZ
from mien.models.model import Model
from mien.predict.model_set import ModelSet, named_heads
from mien.results.face_columns import face_columns
from mien.results.view import view_constants
from mien.web.video_config import video_config


def pipeline_config(models: ModelSet, *, min_face: int | None = defaults.MIN_FACE) -> dict[str, Any]:
    """JSON-ready; read by ``device/pipeline.js``.

    Args:
        models: what predicts.
        min_face: height of the smallest face to detect, pixels; None as for `mien.detect.mien.MienDetector`.
    """
    return {
        "detector": {
            "name": mien.MienDetector.name,
            "constants": {
                "strides": list(single_shot.STRIDES),
                "multiple": single_shot.MULTIPLE,
                "padding": single_shot.PADDING,
                "max_candidates": single_shot.MAX_CANDIDATES,
                "max_log_distance": single_shot.MAX_LOG_DISTANCE,
                "pixels_at_once": single_shot.PIXELS_AT_ONCE,
                "coarsest": single_shot.COARSEST,
                "step": single_shot.STEP,
                "coarse_face": single_shot.COARSE_FACE,
                "strip_overlap": single_shot.STRIP_OVERLAP,
                "rough_pixels": single_shot.ROUGH_PIXELS,
                "padded_side": single_shot.PADDED_SIDE,
                "padded_margin": single_shot.PADDED_MARGIN,
                "turned_side": single_shot.TURNED_SIDE,
                "overlap": single_shot.OVERLAP,
                "vote": single_shot.VOTE,
                "confidence": mien.CONFIDENCE,
                "doubtful": list(mien.DOUBTFUL),
                "plausible_confidence": mien.PLAUSIBLE_CONFIDENCE,
                "confirm_side": single_shot.CONFIRM_SIDE,
                "confirm_reach": single_shot.CONFIRM_REACH,
                "confirm_least": single_shot.CONFIRM_LEAST,
                "quarter_side": single_shot.QUARTER_SIDE,
                "quarter_face": single_shot.QUARTER_FACE,
                "upright_score": single_shot.UPRIGHT_SCORE,
                "quarter_score": single_shot.QUARTER_SCORE,
                "quarter_gain": single_shot.QUARTER_GAIN,
                "quarter_limit": single_shot.QUARTER_LIMIT,
                "same_face": single_shot.SAME_FACE_IOU,
                "body_width": plausibility.BODY_WIDTH,
                "body_depth": plausibility.BODY_DEPTH,
                "hat_height": plausibility.HAT_HEIGHT,
                "body_ratio": plausibility.BODY_RATIO,
                "inside_share": plausibility.INSIDE_SHARE,
                "inside_ratio": plausibility.INSIDE_RATIO,
                "large_confidence": mien.LARGE_CONFIDENCE,
                "sure_confidence": mien.SURE_CONFIDENCE,
                "second_confidence": mien.SECOND_CONFIDENCE,
                "smallest": mien.SMALLEST,
                "reliable": mien.RELIABLE,
                "max_scale": mien.MAX_SCALE,
                "min_face": min_face,
                "smallest_face": defaults.SMALLEST_FACE,
                "smallest_face_side": defaults.SMALLEST_FACE_SIDE,
                "min_visible": raw_output.MIN_VISIBLE,
                "tolerance": raw_output.TOLERANCE,
                "crop_side": landmark_refinement.SIDE,
                "crop_reach": landmark_refinement.REACH,
            },
        },
        "models": {name: _card(name, model, models) for name, model in models.models.items()},
        "views": _views(models),
        "digits": _digits(models),
        "max_faces": defaults.PAGE_FACES,
        "view": view_constants(),
        "video": video_config(models),
    }


def _card(name: str, model: Model, models: ModelSet) -> dict[str, Any]:
    """The part of a card that predictions follow from."""
    card = model.card
    return {
        "size": card.size,
        "channels": card.channels,
        "measures": list(card.measures),
        "mean": list(card.mean),
        "std": list(card.std),
        "frame": {
            "landmarks": [list(point) for point in card.frame.landmarks],
            "boxes": {key: list(box) for key, box in card.frame.boxes.items()},
            "box_weight": card.frame.box_weight,
            "roll_kept": card.frame.roll_kept,
        },
        "heads": [
            _head(head, shown if shown in models.heads else None, model.prior)
            for shown, head in named_heads(name, card).items()
        ],
    }


def _head(head: Head, shown: str | None, prior: str) -> dict[str, Any]:
    """A head with its read-out; ``shown`` is its name in results."""
    readout = head.readout(prior)
    return {
        "name": head.name,
        "shown": shown,
        "labels": list(head.labels),
        "ordered": head.ordered,
        "interval": head.interval,
        "auxiliary": head.auxiliary,
        "frequencies": list(head.frequencies),
        "ranges": None if head.ranges is None else [list(one) for one in head.ranges],
        "set_limits": None if head.rule is None else [limit + FUZZ for limit in head.rule.limits],
        "readout": {
            "removed": readout.removed,
            "joined": readout.joined,
            "share": readout.share,
            "temperature": readout.temperature,
            "kept": list(readout.kept),
        },
    }


def _views(models: ModelSet) -> dict[str, tuple[str, str]]:
    """Keys of a face that repeat a prediction → (head, field of its prediction)."""
    views = {}
    for column in face_columns(models.heads, video=False):
        if not column.flat and len(column.path) == 1:
            key = str(column.path[0])
            name = key.removesuffix("_range")
            if name in models.heads:
                expected = models.heads[name].ranges is not None and key == name
                views[key] = (name, "expected" if expected else "label")
    return views


def _digits(models: ModelSet) -> dict[str, int]:
    """Decimals of each kind of number in results."""
    digits: dict[str, int] = {}
    for column in face_columns(models.heads, video=False):
        if column.digits is not None and column.path:
            place = {"predictions": 2, "view": 1}.get(str(column.path[0]), 0)
            kind = str(column.path[place])
            digits["probability" if kind == "probabilities" else kind] = column.digits
    return digits
