"""The card of a model: what is needed to prepare its input and to interpret its output. Pure data, no I/O."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.defaults import POOLED_INTERVAL
from mien.errors import ModelError, choose_one
from mien.labels import number_ranges
from mien.models.label_sets import ScoreQuantiles, SetRule
from mien.models.priors import DEFAULT, PHOTOS
from mien.models.readout import Readout
from mien.text import listing

METADATA_KEY = "mien.card"
"""The ONNX metadata property that holds the card as JSON."""


_MAX_SIZE = 1024
"""Side of the largest crop, pixels; published networks take 48 to 512."""
_MAX_COORDINATE = 10.0
"""Largest coordinate of a landmark or a box in a crop frame, in sides of the crop."""
_EXPORT_AGAIN = "export the model again"
MEASURES = ("covered", "unlike")
"""Outputs of a network beside its heads: the probability that a part of the face is covered, and the distance from the
training images, 1 where one in a hundred of other images is further."""


@dataclass(frozen=True, slots=True)
class Head:
    """One output of a network: a distribution over labels.

    Attributes:
        name: output name in the ONNX graph.
        labels: meaning of each column, in order.
        temperature: logits are divided by it before the softmax.
        ordered: whether the labels have an order, such as age ranges. In videos an ordered head is pooled over each
            track; a nominal one is filtered, voted on and divided into episodes.
        interval: seconds between two predictions for the same face of a video; 0 for every frame. What changes slowly
            is predicted less often.
        auxiliary: whether the head answers the question of the model's first head in another way, such as with the
            labels of another dataset. `Faces.predictions` has it; tables, files and videos leave it out.
        frequencies: of the labels in the training data, above 0 and summing to 1; empty where they are not known.
        readouts: the head's read-outs, one for each prior that can be chosen; empty where there is no choice: then
            logits are divided by ``temperature``. Each read-out has a temperature of its own.
        sets: what sets of labels follow from, one for each prior (`mien.models.label_sets`); empty where none was
            fitted.
        rule: the rule of the sets that results hold, chosen when the model is opened; None for none.

    Raises:
        ModelError: a value of the wrong type or out of range.

    Examples:
        >>> head = Head("age", ("0-2", "3-9", "10-19"), ordered=True)
        >>> head.ranges, head.readout().temperature
        (((0, 2), (3, 9), (10, 19)), 1.0)
        >>> emotion = analyzer.models.models["emotion"].card.head("ferplus")
        >>> emotion.with_rule("default", 0.9).rule.coverage
        0.9
        >>> Head.from_dict({"name": "mood", "labels": ["calm", "tense"], "temperature": 1.0}).labels
        ('calm', 'tense')
    """

    name: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    ordered: bool = False
    interval: float = 0.0
    auxiliary: bool = False
    frequencies: tuple[float, ...] = ()
    readouts: tuple[Readout, ...] = ()
    sets: tuple[ScoreQuantiles, ...] = ()
    rule: SetRule | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.auxiliary, bool):
            raise ModelError(f"card: head {self.name!r}: auxiliary is true or false")
        if not isinstance(self.ordered, bool) or not (math.isfinite(self.interval) and self.interval >= 0):
            raise ModelError(f"card: head {self.name!r}: ordered is true or false, interval a number of seconds")
        if not _all_are(str, [self.name, *self.labels]) or not self.name or not self.labels:
            raise ModelError(f"card: head {self.name!r} needs a name and labels, which are strings")
        if len(set(self.labels)) < len(self.labels):
            raise ModelError(f"card: head {self.name!r} has a label twice")
        if not math.isfinite(self.temperature) or self.temperature <= 0:
            raise ModelError(f"card: head {self.name!r}: temperature is a number above 0, got {self.temperature}")
        if self.frequencies and not (
            len(self.frequencies) == len(self.labels)
            and min(self.frequencies) > 0
            and abs(sum(self.frequencies) - 1) < 1e-3
        ):
            raise ModelError(f"card: head {self.name!r}: frequencies are one for each label, above 0, and sum to 1")
        if any(readout.removed for readout in self.readouts) and not self.frequencies:
            raise ModelError(f"card: head {self.name!r}: read-outs that remove frequencies need them")
        if len({readout.prior for readout in self.readouts}) < len(self.readouts):
            raise ModelError(f"card: head {self.name!r} has two read-outs for one prior")
        if any(len(one.by_label) != len(self.labels) for one in self.sets):
            raise ModelError(f"card: head {self.name!r}: sets have quantiles for each label")

    def readout(self, prior: str = DEFAULT) -> Readout:
        """The read-out for a prior; where the head has no choice, that of its temperature alone."""
        plain = Readout(PHOTOS, temperature=self.temperature)
        return next((readout for readout in self.readouts if readout.prior == prior), plain)

    def with_rule(self, prior: str, coverage: float, *, by_class: bool = False) -> Head:
        """The head with the rule of sets for a prior and a coverage; as it is where none was fitted.

        Args:
            prior: key of `mien.models.priors.PRIORS`.
            coverage: probability with which a set holds the right label, one of `mien.models.label_sets.COVERAGES`.
            by_class: whether it does so for the faces of each label.
        """
        # without a choice of priors there is one fit, whatever prior is named
        fitted = next((one for one in self.sets if one.prior == prior or not self.readouts), None)
        return self if fitted is None else dataclasses.replace(self, rule=fitted.rule(coverage, by_class=by_class))

    @property
    def ranges(self) -> tuple[tuple[int, int], ...] | None:
        """The labels of an ordered head as inclusive (low, high) ranges of whole numbers, None where they are not."""
        return number_ranges(self.labels) if self.ordered else None

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, first: bool = True) -> Head:
        """The head in a card's JSON.

        Where a card states no order, labels that are all ranges have one; where it does not state which heads are
        auxiliary, all but the ``first`` are.

        Args:
            raw: of the JSON.
            first: whether it is the card's first head.
        """
        labels = tuple(raw["labels"])
        ordered = raw["ordered"] if "ordered" in raw else number_ranges(labels) is not None
        interval = float(raw.get("interval", POOLED_INTERVAL if ordered else 0.0))
        return cls(
            raw["name"],
            labels,
            float(raw["temperature"]),
            ordered,
            interval,
            raw.get("auxiliary", not first),
            tuple(float(value) for value in raw.get("frequencies", ())),
            tuple(Readout.from_dict(readout) for readout in raw.get("readouts", ())),
            tuple(ScoreQuantiles.from_dict(one) for one in raw.get("sets", ())),
        )


@dataclass(frozen=True, slots=True)
class CropFrame:
    """Where a face lies in the square crop that is a network's input; coordinates are fractions of the crop's side.

    Attributes:
        landmarks: five xy points: eye, eye, nose, mouth corner, mouth corner, left in the picture first.
        boxes: detector name → xyxy of that detector's box in the crop, for faces without landmarks.
        box_weight: weight (0–1) of the box in scale and centre where a face has landmarks too; the rotation comes from
            the landmarks alone.
        roll_kept: share (0–1) of a face's roll that stays in its crop, at most `mien.predict.align.MAX_KEPT_ROLL`:
            landmarks measure a small roll with an error, and the pictures that the network learnt from hold some.

    Raises:
        ModelError: a value out of range.

    Examples:
        >>> frame = analyzer.models.models["emotion"].card.frame
        >>> len(frame.landmarks), 0 < frame.box_weight < 1
        (5, True)
    """

    landmarks: tuple[tuple[float, float], ...]
    boxes: Mapping[str, tuple[float, float, float, float]]
    box_weight: float = 0.0
    roll_kept: float = 0.0

    def __post_init__(self) -> None:
        numbers = [*(v for point in self.landmarks for v in point), *(v for box in self.boxes.values() for v in box)]
        shares = self.box_weight, self.roll_kept
        if any(not abs(v) <= _MAX_COORDINATE for v in numbers) or not all(0 <= share <= 1 for share in shares):
            raise ModelError(
                "card: a crop frame holds fractions of the crop's side, and box_weight and roll_kept are 0-1"
            )
        if len(self.landmarks) != 5 or len(set(self.landmarks)) < 2:
            raise ModelError(f"card: a crop frame has five landmarks that differ, got {len(self.landmarks)}")
        for name, (left, top, right, bottom) in self.boxes.items():
            if left >= right or top >= bottom:
                raise ModelError(f"card: box {name!r} is empty: it is left, top, right, bottom")


@dataclass(frozen=True, slots=True)
class Card:
    """A model's description; stored as JSON in the ONNX file's metadata.

    A network's input is ``(n, len(mean), size, size)`` float32: ``(crop / 255 - mean) / std`` per channel. Its outputs
    are logits, one ``(n, len(head.labels))`` float32 array per head.

    Attributes:
        name: the model's name.
        task: what it predicts, such as "emotion" or "age".
        size: side of a crop, pixels.
        channels: colour of a crop, "rgb" or "gray".
        mean: per channel of the network, of pixels 0–1. A network of three channels with gray crops repeats gray.
        std: likewise, above 0.
        heads: the outputs; the first is the one shown where only one is.
        frame: where the face lies in a crop.
        parameters: number of the network's parameters.
        licence: of the weights.
        data: the dataset that it was trained on.
        training: how it was trained; for people.
        scores: results on the test data; for people.
        limits: where it must not be relied on; for people.
        project_version: version of this package that exported it.
        features: name → length of the vectors that the network takes beside the pixels as float32 inputs
            ``feature_NAME``, ``(n, length)``; most networks have none.
        measures: further outputs, ``(n, 1)`` float32 each: how a face is seen, a part of `MEASURES`.

    Raises:
        ModelError: a value of the wrong type or out of range.

    Examples:
        >>> card = analyzer.models.models["emotion"].card
        >>> card.name, card.size, card.n_channels, [head.name for head in card.heads]
        ('emotion', 48, 1, ['ferplus', 'fer2013'])
        >>> card.head("ferplus").labels[:2], card.priors
        (('neutral', 'happy'), ('default', 'photos', 'balanced'))
        >>> Card.from_json(card.to_json()) == card
        True
    """

    name: str
    task: str
    size: int
    channels: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    heads: tuple[Head, ...]
    frame: CropFrame
    parameters: int
    licence: str
    data: str
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    limits: str = ""
    project_version: str = ""
    features: Mapping[str, int] = field(default_factory=dict)
    measures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _all_are(
            str, [self.name, self.task, self.channels, self.licence, self.data, self.limits, self.project_version]
        ):
            raise ModelError(f"card {self.name!r}: name, task, channels, licence, data, limits and version are strings")
        if not _all_are(int, [self.size, self.parameters]) or not 1 <= self.size <= _MAX_SIZE:
            raise ModelError(
                f"card {self.name!r}: size is a whole number of pixels up to {_MAX_SIZE}, got {self.size!r}"
            )
        tables = (self.training, self.scores, self.features)
        if not all(isinstance(table, Mapping) for table in tables) or not _all_are(int, list(self.features.values())):
            raise ModelError(f"card {self.name!r}: training and scores are tables, features names with their lengths")
        if not _all_are(float | int, [*self.mean, *self.std]) or not all(map(math.isfinite, [*self.mean, *self.std])):
            raise ModelError(f"card {self.name!r}: mean and std are numbers")
        allowed = {"gray": (1, 3), "rgb": (3,)}.get(self.channels)
        if allowed is None:
            raise ModelError(f"card {self.name!r}: channels must be 'gray' or 'rgb', got {self.channels!r}")
        if len(self.mean) not in allowed or len(self.std) != len(self.mean) or min(self.std) <= 0:
            counts = " or ".join(map(str, allowed))
            raise ModelError(f"card {self.name!r}: mean and std need {counts} values each, those of std above 0")
        if not self.heads:
            raise ModelError(f"card {self.name!r}: a model needs at least one head")
        names = {head.name for head in self.heads}
        if not set(self.measures) <= set(MEASURES) or names & set(self.measures):
            raise ModelError(f"card {self.name!r}: measures are among {', '.join(MEASURES)}, and no heads")
        joined = {readout.joined for head in self.heads for readout in head.readouts if readout.joined}
        if not joined <= names:
            raise ModelError(f"card {self.name!r}: a read-out joins a head that the model does not have")

    def __repr__(self) -> str:
        heads = listing([ascii(head.name)[1:-1] for head in self.heads])
        return f"Card({self.name!a}, {self.size}x{self.size} {self.channels}, heads {heads})"

    @property
    def n_channels(self) -> int:
        """Channels of a crop, 1 or 3."""
        return 1 if self.channels == "gray" else 3

    def head(self, name: str) -> Head:
        """The head of this name; `ModelError` where there is none."""
        for head in self.heads:
            if head.name == name:
                return head
        names = [head.name for head in self.heads]
        raise ModelError(
            f"model {self.name!r} has no head {name!r}",
            advice=choose_one(name, names),
            code="head-unknown",
            details={"heads": names},
        )

    @property
    def priors(self) -> tuple[str, ...]:
        """The priors that can be chosen, the default first; empty where there is no choice."""
        return tuple(dict.fromkeys(readout.prior for head in self.heads for readout in head.readouts))

    def to_json(self) -> str:
        """Deterministic JSON."""
        values = dataclasses.asdict(self)
        for head in values["heads"]:
            del head["rule"]  # a choice of who opens the model
        return json.dumps(values, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """The card in ``text``, JSON as from `to_json`; `ModelError` where it is none."""
        try:
            raw = json.loads(text, parse_constant=_reject_constant)
            frame = raw.pop("frame")
            heads = tuple(Head.from_dict(head, first=i == 0) for i, head in enumerate(raw.pop("heads")))
            return cls(
                heads=heads,
                frame=CropFrame(
                    landmarks=tuple((float(x), float(y)) for x, y in frame["landmarks"]),
                    boxes={k: (v[0], v[1], v[2], v[3]) for k, v in frame["boxes"].items()},
                    box_weight=float(frame.get("box_weight", 0.0)),
                    roll_kept=float(frame.get("roll_kept", 0.0)),
                ),
                mean=tuple(raw.pop("mean")),
                std=tuple(raw.pop("std")),
                measures=tuple(raw.pop("measures", ())),
                **raw,
            )
        except (
            KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError
        ) as error:  # fmt: skip
            raise ModelError(f"the model's card cannot be read ({error})", advice=_EXPORT_AGAIN) from error


def _all_are(kind: Any, values: list[Any]) -> bool:
    """Whether all values are of this type; True and False do not count as numbers."""
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
