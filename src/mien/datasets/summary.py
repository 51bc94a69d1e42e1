"""A summary of a dataset, as data and as tables: images per split and class, size, duplicates, dropped rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import count_distinct, leaked_rows
from mien.datasets.ferplus import DROP_REASONS, TARGET_RULES, vote_targets
from mien.errors import InputError
from mien.labels import age_bin_names

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """One line of a table: number of images in each split, in the order of `mien.datasets.dataset.SPLITS`.

    Attributes:
        name: of the class or group.
        counts: number of images in each split.

    Examples:
        >>> summarise_dataset(dataset).groups["emotion"][3].total
        10
    """

    name: str
    counts: tuple[int, int, int]

    @property
    def total(self) -> int:
        """Images in all splits."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """The figures of a dataset.

    Attributes:
        name: the dataset.
        size: (width, height) of every image in pixels.
        channels: 1 (gray) or 3 (RGB).
        images: all images.
        groups: column name ("emotion", "age", "gender", "race", "found") → images of each of its values.
        distinct: different images, by exact pixels.
        leaked: images of validation and test that are in train too.
        dropped: (reason, count) of the rows left out.

    Examples:
        >>> sorted(summarise_dataset(dataset).to_dict())
        ['channels', 'distinct', 'dropped', 'emotion', 'images', 'leaked', 'name', 'size']
    """

    name: str
    size: tuple[int, int]
    channels: int
    images: SplitCounts
    groups: dict[str, tuple[SplitCounts, ...]]
    distinct: int
    leaked: SplitCounts
    dropped: tuple[tuple[str, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "name": self.name,
            "size": list(self.size),
            "channels": self.channels,
            "images": _by_split(self.images),
            **{name: {line.name: _by_split(line) for line in lines} for name, lines in self.groups.items()},
            "distinct": self.distinct,
            "leaked": _by_split(self.leaked),
            "dropped": [{"reason": reason, "count": count} for reason, count in self.dropped],
        }


@dataclass(frozen=True, slots=True)
class TargetRuleSummary:
    """Images that one rule for FER+ targets keeps and drops.

    Attributes:
        rule: one of `mien.datasets.ferplus.TARGET_RULES`.
        classes: 8, or 7 without contempt.
        kept: images kept.
        dropped: images dropped, by reason.
    """

    rule: str
    classes: int
    kept: SplitCounts
    dropped: tuple[SplitCounts, ...]


def summarise_dataset(dataset: Dataset) -> DatasetSummary:
    """Count the images of a dataset.

    Examples:
        >>> [(one.name, one.counts) for one in summarise_dataset(dataset).groups["emotion"]][:2]
        [('angry', (6, 2, 2)), ('disgust', (6, 2, 2))]
    """
    groups: dict[str, tuple[SplitCounts, ...]] = {}
    if dataset.emotion is not None and dataset.taxonomy is not None:
        groups["emotion"] = _classes(dataset, dataset.emotion, dataset.taxonomy.names)
    if dataset.age is not None:
        groups["age"] = _classes(dataset, dataset.age, age_bin_names())
    for name, column in (("gender", dataset.gender), ("race", dataset.race)):
        if column is not None:
            values, codes = np.unique(column, return_inverse=True)
            groups[name] = _classes(dataset, codes.reshape(-1), values.tolist())
    if dataset.found is not None:
        groups["found"] = _classes(dataset, dataset.found.astype(np.int8), ("no", "yes"))
    return DatasetSummary(
        name=dataset.info.name,
        size=dataset.size,
        channels=dataset.channels,
        images=_count("all", dataset, np.ones(len(dataset), bool)),
        groups=groups,
        distinct=count_distinct(dataset),
        leaked=_count("leaked", dataset, leaked_rows(dataset)),
        dropped=dataset.info.dropped,
    )


def summarise_target_rules(dataset: Dataset, all_classes: Sequence[int] = (8, 7)) -> tuple[TargetRuleSummary, ...]:
    """Counts for every rule of `mien.datasets.ferplus.vote_targets`; raises `InputError` without votes."""
    if dataset.votes is None:
        raise InputError("this dataset has no FER+ votes", advice="prepare it with fer2013new.csv")
    summaries = []
    for rule in TARGET_RULES:
        for classes in all_classes:
            _, keep, reasons = vote_targets(dataset.votes, rule, classes)
            dropped = [_count(reason, dataset, reasons == reason) for reason in DROP_REASONS]
            summaries.append(
                TargetRuleSummary(
                    rule, classes, _count("kept", dataset, keep), tuple(line for line in dropped if line.total)
                )
            )
    return tuple(summaries)


def render_summary(summary: DatasetSummary) -> RenderableType:
    """A summary as tables for a rich console."""
    from rich.console import Group
    from rich.text import Text

    width, height = summary.size
    colour = "gray" if summary.channels == 1 else "RGB"
    tables: list[RenderableType] = [
        Text(
            f"{summary.name}: {summary.images.total:,} images, {width}×{height} {colour}, {summary.distinct:,} distinct"
        )
    ]
    for name, lines in summary.groups.items():
        last = (summary.images,) if name == next(iter(summary.groups)) else ()
        tables.append(_table(name, (*lines, *last), footer=bool(last)))
    if summary.leaked.total:
        tables.append(_table("also in train", (summary.leaked,)))
    if summary.dropped:
        tables.append(Text("\n".join(f"dropped {count:,}: {reason}" for reason, count in summary.dropped)))
    return Group(*tables)


def render_target_rules(rules: Sequence[TargetRuleSummary]) -> RenderableType:
    """The counts of the rules, as one table for a rich console."""
    lines = []
    for rule in rules:
        lines.append(SplitCounts(f"{rule.rule}, {rule.classes} classes: kept", rule.kept.counts))
        lines += [SplitCounts(f"  dropped: {line.name}", line.counts) for line in rule.dropped]
    return _table("FER+ targets", lines)


def _table(title: str, lines: Sequence[SplitCounts], *, footer: bool = False) -> RenderableType:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    for name in (*SPLITS, "total"):
        table.add_column(name, justify="right")
    for i, line in enumerate(lines):
        if footer and i == len(lines) - 1:
            table.add_section()
        table.add_row(line.name, *(f"{count:,}" for count in (*line.counts, line.total)))
    return table


def _classes(dataset: Dataset, codes: np.typing.NDArray[Any], names: Sequence[str]) -> tuple[SplitCounts, ...]:
    return tuple(_count(name, dataset, codes == i) for i, name in enumerate(names))


def _count(name: str, dataset: Dataset, mask: np.typing.NDArray[np.bool_]) -> SplitCounts:
    train, validation, test = (int((mask & (dataset.split == split)).sum()) for split in SPLITS)
    return SplitCounts(name, (train, validation, test))


def _by_split(line: SplitCounts) -> dict[str, int]:
    return {**dict(zip(SPLITS, line.counts, strict=True)), "total": line.total}
