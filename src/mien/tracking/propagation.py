"""Faces propagated from the previous frame into this one, without running the detector on the whole picture.

A `RefiningDetector` (such as Mien's own) detects faces again where they are expected: box, score and landmarks are
measured in this frame, so nothing drifts. For other detectors, optical flow moves box and landmarks
(`mien.tracking.optical_flow`); that drifts, and a face that turns away is kept, so detect in every few frames.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.detect.detector import Detector, RefiningDetector
from mien.geometry import clip_boxes, iou, nms
from mien.results.faces import Faces
from mien.results.faces_state import faces_from_state, faces_to_state

Ids = NDArray[np.int64]
Boxes = NDArray[np.float32]

SAME_FACE_IOU = 0.3
"""Intersection over union above which two boxes count as the same face."""
SAME_FACE_COVER = 0.5
"""Share of the smaller of two boxes that the other covers, above which they count as the same face."""


class BoxPropagator:
    """Propagates the faces of one video or camera. Not for several threads.

    Args:
        detector: the detector that runs on the other frames.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector if isinstance(detector, RefiningDetector) else None
        self._rgb: NDArray[np.uint8] | None = None
        self._faces: Faces | None = None

    def propagate(self, rgb: NDArray[np.uint8], ids: Ids, boxes: Boxes) -> Faces:
        """The faces of a frame in which the detector does not run on the whole picture.

        Args:
            rgb: the frame, RGB uint8 ``(h, w, 3)``.
            ids: ``(m,)`` tracks.
            boxes: ``(m, 4)`` xyxy pixels where they are expected now, from `mien.tracking.tracker.Tracker.predict`.

        Returns:
            The faces, best score first, with the tracks that were expected there as ``tracks``; lost ones are left
            out. Where tracks meet, a face may belong to another track than the one expected there: the tracker decides.
        """
        if self._detector is not None:
            faces, origin = self._detector.refine(rgb, boxes)
            return _with_tracks(faces, ids[origin])
        return self._propagate_by_flow(rgb, ids, boxes)

    def recover_missed(self, rgb: NDArray[np.uint8], faces: Faces, ids: Ids, boxes: Boxes) -> Faces:
        """In a frame with detections, add faces that the detector missed where a track expects one.

        Args:
            rgb: the frame.
            faces: the detections.
            ids: as for `propagate`.
            boxes: as for `propagate`.

        Returns:
            ``faces`` and the recovered ones, best score first; ``faces`` alone where the detector cannot.
        """
        if self._detector is None or not len(ids):
            return faces
        missed = ~_same_face_as_any(boxes, faces.boxes)
        if not missed.any():
            return faces
        recovered, _ = self._detector.refine(rgb, boxes[missed])
        new = (recovered.scores >= self._detector.recovery_score) & ~_same_face_as_any(recovered.boxes, faces.boxes)
        recovered = recovered[new]
        if not recovered:
            return faces
        both = Faces.detected(
            np.concatenate([faces.boxes, recovered.boxes]),
            np.concatenate([faces.scores, recovered.scores]),
            np.concatenate([faces.landmarks, recovered.landmarks]),
            faces.image_size,
        )
        return both[np.argsort(-both.scores, kind="stable")]

    def remember(self, rgb: NDArray[np.uint8], faces: Faces) -> None:
        """Store a frame for the next call; to be called after every frame, with its faces and their tracks."""
        if self._detector is None:
            self._rgb, self._faces = rgb, faces

    def set_previous_frame(self, rgb: NDArray[np.uint8]) -> None:
        """After `restore`: the frame that `remember` was last called with; optical flow starts from it."""
        if self._detector is None:
            self._rgb = rgb

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs besides the last frame's picture, which goes to `set_previous_frame`."""
        faces = self._faces
        if faces is None or faces.tracks is None:
            return {"faces": None}
        return {"faces": faces_to_state(replace(faces, predictions={}))}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self._rgb, self._faces = None, None
        saved = state["faces"]
        if saved is None:
            return
        self._faces = faces_from_state(saved, {})

    def _propagate_by_flow(self, rgb: NDArray[np.uint8], ids: Ids, boxes: Boxes) -> Faces:
        from mien.tracking.optical_flow import track_box  # needs OpenCV

        size = rgb.shape[1], rgb.shape[0]
        before = self._faces
        if before is None or before.tracks is None or self._rgb is None or self._rgb.shape != rgb.shape:
            return _with_tracks(Faces.empty(size), np.zeros(0, np.int64))
        rows = {track: i for i, track in enumerate(before.tracks.tolist())}
        known = [(rows[track], track, box) for track, box in zip(ids.tolist(), boxes, strict=True) if track in rows]
        new_boxes, scores, points, tracks = [], [], [], []
        for i, track, expected in known:
            moved = track_box(self._rgb, rgb, before.boxes[i], before.landmarks[i], expected)
            if moved is None:
                continue
            box, landmarks, share = moved
            middle = (box[:2] + box[2:]) / 2
            if (middle >= 0).all() and (middle < size).all():
                new_boxes.append(box)
                scores.append(before.scores[i] * share)
                points.append(landmarks)
                tracks.append(track)
        if not new_boxes:
            return _with_tracks(Faces.empty(size), np.zeros(0, np.int64))
        score, moved_boxes = np.array(scores, np.float32), np.array(new_boxes, np.float32)
        keep = nms(moved_boxes, score, 0.7, over_smaller=True)
        faces = Faces.detected(clip_boxes(moved_boxes[keep], size), score[keep], np.array(points)[keep], size)
        return _with_tracks(faces, np.array(tracks, np.int64)[keep])


def _with_tracks(faces: Faces, ids: Ids) -> Faces:
    return replace(faces, tracks=np.asarray(ids, np.int64))


def _same_face_as_any(boxes: Boxes, others: Boxes) -> NDArray[np.bool_]:
    """``(n,)`` whether each box is the same face as one of the others."""
    if not len(boxes) or not len(others):
        return np.zeros(len(boxes), np.bool_)
    same = iou(boxes, others) > SAME_FACE_IOU
    same |= iou(boxes, others, over_smaller=True) > SAME_FACE_COVER
    return np.asarray(same.any(axis=1), np.bool_)
