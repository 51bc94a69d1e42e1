"""The models that run on every face, and the names under which results hold their heads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mien.defaults import DEVICE
from mien.errors import InputError
from mien.files import is_file
from mien.logger import get_logger
from mien.models.card import Card, Head
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.models.priors import DEFAULT
from mien.results.face_columns import Heads
from mien.text import listing

PRIORS_FLAG, SETS_FLAG = "--priors", "--sets"
"""Options of ``mien calibrate`` that fit read-outs and sets of labels."""
_log = get_logger(__name__)

ModelInput = str | os.PathLike[str] | Model
"""A shipped model's name, the path of an ``.onnx`` file with a card, or a loaded model."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelSet:
    """Models by name.

    The first head of a model has the model's name in results, further heads have their own names. The first model is
    shown first.

    Attributes:
        models: name → model.
        heads: name in results → head, of all models, without auxiliary heads.

    Examples:
        >>> models = ModelSet.open(["emotion", "age"], threads=1, coverage=0.9)
        >>> list(models.models), list(models.heads), list(models.describe())
        (['emotion', 'age'], ['emotion', 'age'], ['emotion', 'age'])
        >>> mien.Analyzer(models=models, threads=1).analyze("photo.jpg")[0].predictions["age"].set
        ('20-29', '30-39')
        >>> sorted(ModelSet.read(["emotion"]))
        ['emotion']
    """

    models: Mapping[str, Model] = field(default_factory=dict)
    heads: Heads = field(init=False)

    def __post_init__(self) -> None:
        heads: dict[str, Head] = {}
        for name, model in self.models.items():
            for head_name, head in named_heads(name, model.card).items():
                if head_name in heads:
                    raise _same_head_error(head_name)
                heads[head_name] = head
        object.__setattr__(self, "heads", {name: head for name, head in heads.items() if not head.auxiliary})

    def __repr__(self) -> str:
        shown = [f"{ascii(name)[1:-1]}={model!a}" for name, model in self.describe().items()]
        return f"ModelSet({listing(shown)})"

    @classmethod
    def open(
        cls,
        models: Iterable[ModelInput] | Mapping[str, ModelInput],
        *,
        threads: int | None = None,
        prior: str = DEFAULT,
        coverage: float | None = None,
        by_class: bool = False,
        device: str = DEVICE,
    ) -> ModelSet:
        """Load models.

        Args:
            models: a mapping from the name in results to the model, or models alone, which are named by the task in
                their cards ("emotion", "age", …); a string ``NAME=FILE`` also names one.
            threads: processor threads per model, None for the available CPUs, at most 4.
            prior: how often labels are expected, a key of `mien.models.priors.PRIORS`; loaded models keep their own,
                and it is of no effect on models whose card offers no choice.
            coverage: as `mien.models.model.Model`; loaded models keep their own.
            by_class: the same.
            device: what they run on, see `mien.models.devices.DEVICES`; of no effect on loaded models.

        Raises:
            InputError: an unknown name, two models with heads of one name, or a prior that none of them offers.
            MissingFileError: a model file that does not exist.
            ModelError: a model file that is damaged.
        """
        loaded: dict[str, Model] = {}
        for name, model in _named_models(models):
            if not isinstance(model, Model):
                content = read_model(model if isinstance(model, str) else Path(model))
                model = Model(
                    content,
                    threads=threads,
                    name=os.fspath(model),
                    prior=prior,
                    coverage=coverage,
                    by_class=by_class,
                    device=device,
                )
            key = name or model.card.task
            if key in loaded:
                raise _same_head_error(key)
            loaded[key] = model
            _log.info("loaded model %s %s as %r", model.card.name, model.card.project_version, key)
        if prior != DEFAULT and not any(prior in model.card.priors for model in loaded.values()):
            raise InputError(
                f"none of the models offers the prior {prior!r}",
                advice=f"leave it out, or fit it with `mien calibrate MODEL --data FILE {PRIORS_FLAG} --out FILE`",
                code="prior-unknown",
            )
        if coverage is not None and not any(head.rule for model in loaded.values() for head in model.card.heads):
            raise InputError(
                "none of the models has sets of labels fitted",
                advice=f"leave it out, or fit them with `mien calibrate MODEL --data FILE {SETS_FLAG} --out FILE`",
                code="sets-missing",
            )
        return cls(loaded)

    @staticmethod
    def read(models: Iterable[str], *, prior: str = DEFAULT) -> dict[str, bytes]:
        """Name in results → content of the ONNX file, for other processes that load the same models.

        Args:
            models: as for `open`, names and paths alone.
            prior: as for `open`.

        Raises:
            InputError: as `open`.
            MissingFileError: as `open`.
            ModelError: as `open`.
        """
        given = list(_named_models(models))
        names = ModelSet.open(models, threads=1, prior=prior).models
        return {key: read_model(str(model)) for key, (_, model) in zip(names, given, strict=True)}

    def describe(self) -> dict[str, str]:
        """Name → name and version of the model, and its prior where another than the default was chosen; JSON-ready."""
        return {name: _describe(model) for name, model in self.models.items()}


def named_heads(name: str, card: Card) -> Heads:
    """The heads of a model by their names in results."""
    first, *others = card.heads
    return {name: first} | {head.name: head for head in others}


def _named_models(models: Iterable[ModelInput] | Mapping[str, ModelInput]) -> Iterable[tuple[str | None, ModelInput]]:
    if not isinstance(models, Iterable) or isinstance(models, os.PathLike):
        raise InputError(f"models is a list of models, got {models!r}", advice="give a list, [] for none")
    named = list(models.items() if isinstance(models, Mapping) else map(_split_name, models))
    for name, model in named:
        if not isinstance(model, str | os.PathLike | Model) or not (name is None or isinstance(name, str)):
            raise InputError(
                f"a model is a name, a file or a Model, got {model!r}"
                if name is None
                else f"no model {name!r}: {model!r}",
                advice='as in models=["emotion"] or models={"mine": "mine.onnx"}',
            )
    return named


def _split_name(model: ModelInput) -> tuple[str | None, ModelInput]:
    """Name and model of ``NAME=FILE``; without a name None and the model itself."""
    if isinstance(model, str) and not Path(model).exists():
        name, equals, file = model.partition("=")
        if equals and name.isidentifier():
            return name, file
        if equals and (file in MODELS or is_file(Path(file))):
            raise InputError(
                f"{name!r} is no name of a model", advice=f"use letters, digits and _, such as mine={file}"
            )
    return None, model


def _describe(model: Model) -> str:
    card = model.card
    chosen = f"prior {model.prior}" if model.prior != DEFAULT and model.prior in card.priors else ""
    rule = next((head.rule for head in card.heads if head.rule), None)
    sets = "" if rule is None else f"sets {rule.coverage:g}{' by class' if rule.by_class else ''}"
    return " ".join(filter(None, (card.name, card.project_version, chosen, sets)))


def _same_head_error(head: str) -> InputError:
    return InputError(
        f"two models predict {head!r}",
        advice="name one of them: models={'mine': 'mine.onnx'} in Python, mine=mine.onnx on the command line",
    )
