"""The terms of datasets that weights learned from or readers know, as their makers state them, and open questions.

No legal advice. `mien licence` prints what concerns the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatasetTerms:
    """A row of `DATASET_TERMS`.

    Attributes:
        title: name and source.
        licence: as its makers state it, one line.
        doubts: what that does not settle.
    """

    title: str
    licence: str
    doubts: tuple[str, ...] = ()


_PEOPLE = "the people in the pictures did not give consent"

DATASET_TERMS: Mapping[str, DatasetTerms] = {
    "fer2013": DatasetTerms(
        "FER2013 (Goodfellow et al. 2013)",
        "public research set (Goodfellow et al. 2013); the photos belong to others",
        (
            "pictures found by a web search: no licence of the photographers is known",
            _PEOPLE,
            "whether weights trained on such pictures may be used commercially differs between countries",
        ),
    ),
    "ferplus": DatasetTerms(
        "FER+ votes (Barsoum et al. 2016)", "MIT, for the votes; the pictures are those of FER2013"
    ),
    "fairface": DatasetTerms(
        "FairFace (Kärkkäinen & Joo 2021)",
        "CC BY 4.0 (Kärkkäinen & Joo 2021)",
        (
            "pictures from Flickr (YFCC-100M) under licences of their own; the dataset names no photographer",
            _PEOPLE,
        ),
    ),
    "open-photos": DatasetTerms(
        "photos of open communities and agencies, listed by licence in docs/detector.md",
        "per photo: CC0, CC BY, CC BY-SA, public domain",
        (
            "the licence of a site does not prove that every photographer and every person agreed",
            "whether share-alike (CC BY-SA) reaches weights is not settled",
        ),
    ),
    "widerface": DatasetTerms(
        "WIDER FACE (Yang et al. 2016)",
        "none (research)",
        ("pictures found by a web search: no licence of the photographers is known", _PEOPLE),
    ),
    "celeba": DatasetTerms("CelebA (Liu et al. 2015)", "non-commercial research", (_PEOPLE,)),
    "ibug-300w": DatasetTerms("iBUG 300-W (Sagonas et al. 2013)", "excludes commercial use"),
    "unknown": DatasetTerms("not published", "unknown", ("the pictures are not known",)),
    "rafdb": DatasetTerms(
        "RAF-DB (Li, Deng & Du 2017)", "non-commercial research, on application (Li, Deng & Du 2017)"
    ),
    "combined-faces": DatasetTerms(
        "UTKFace and facial-age", "non-commercial research (UTKFace); facial-age states nothing", (_PEOPLE,)
    ),
}
"""Short name → terms."""
