"""ELAN annotation files (EAF 3.0): a tier per face and head, with the labels as a vocabulary, linked to the video."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from mien.errors import DataError
from mien.exchange.coding import Coding, Interval, Tier, ceil_time

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_NO_HEAD = ("label", "default-lt")
"""Types of tiers that belong to no head: ours and the one that ELAN begins with."""
_LANGUAGE = "http://cdb.iso.org/lg/CDB-00130975-001"


def elan_file(coding: Coding, path: Path) -> bytes:
    """An annotation file that will lie at ``path``. Times are whole milliseconds; each lies in its frame."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "Mien",
            "DATE": "1970-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if coding.source is not None:
        video = Path(coding.source).absolute()
        ElementTree.SubElement(
            header,
            "MEDIA_DESCRIPTOR",
            {
                "MEDIA_URL": video.as_uri(),
                "MIME_TYPE": mimetypes.guess_type(video.name)[0] or "video/mp4",
                "RELATIVE_MEDIA_URL": Path(_relative(video, path.absolute().parent)).as_posix(),
            },
        )
    annotations = [(tier, one) for tier in coding.tiers for one in tier.intervals]
    ElementTree.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(len(annotations))
    order = ElementTree.SubElement(root, "TIME_ORDER")
    slots: dict[tuple[int, bool], str] = {}
    for at, (time, which, end) in enumerate(_slots([one for _, one in annotations]), 1):
        slots[which, end] = f"ts{at}"
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{at}", "TIME_VALUE": str(time)})
    number = 0
    for tier in coding.tiers:
        attributes = {"LINGUISTIC_TYPE_REF": tier.head or "label", "TIER_ID": _text(tier.name)}
        element = ElementTree.SubElement(root, "TIER", attributes | {"PARTICIPANT": _text(tier.subject)})
        for one in tier.intervals:
            number += 1
            reference = {
                "ANNOTATION_ID": f"a{number}",
                "TIME_SLOT_REF1": slots[number - 1, False],
                "TIME_SLOT_REF2": slots[number - 1, True],
            }
            annotation = ElementTree.SubElement(element, "ANNOTATION")
            alignable = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", reference)
            ElementTree.SubElement(alignable, "ANNOTATION_VALUE").text = _text(one.label)
    heads = list(dict.fromkeys(tier.head for tier in coding.tiers)) or [""]
    for head in heads:
        ElementTree.SubElement(
            root,
            "LINGUISTIC_TYPE",
            {
                "CONTROLLED_VOCABULARY_REF": head or "label",
                "GRAPHIC_REFERENCES": "false",
                "LINGUISTIC_TYPE_ID": head or "label",
                "TIME_ALIGNABLE": "true",
            },
        )
    attributes = {"LANG_DEF": _LANGUAGE, "LANG_ID": "und", "LANG_LABEL": "undetermined (und)"}
    ElementTree.SubElement(root, "LANGUAGE", attributes)
    for head in heads:
        vocabulary = ElementTree.SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": head or "label"})
        ElementTree.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": "und"})
        for at, label in enumerate(coding.head_labels(head)):
            entry = ElementTree.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"{head or 'label'}_{at}"})
            ElementTree.SubElement(entry, "CVE_VALUE", {"DESCRIPTION": "", "LANG_REF": "und"}).text = _text(label)
    ElementTree.register_namespace("xsi", _XSI)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return content + b"\n"


def read_elan(path: Path) -> Coding:
    """The annotations that stand on the time axis; a tier's participant is its subject, its type its head.

    Of tiers with the same participant and type, as copies have, those with names of their own keep them. Annotations
    that divide another one without times of their own have equal lengths, as ELAN shows them.

    Raises:
        DataError: the file is no ELAN file, or one that is damaged.
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
        if root.tag != "ANNOTATION_DOCUMENT":
            raise ValueError(f"the document is a {root.tag}")
        slots = {
            slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) / 1000
            for slot in root.iter("TIME_SLOT")
            if "TIME_VALUE" in slot.attrib
        }
        tiers = _tiers(list(root.iter("TIER")), slots)
        media = next((one.attrib.get("MEDIA_URL") for one in root.iter("MEDIA_DESCRIPTOR")), None)
        labels = {
            one.attrib["CV_ID"]: tuple(value.text or "" for value in (*one.iter("CVE_VALUE"), *one.iter("CV_ENTRY")))
            for one in root.iter("CONTROLLED_VOCABULARY")
        }
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"is no ELAN file that can be read ({error})", path=path) from None
    ends = [one.end for tier in tiers for one in tier.intervals]
    used = {tier.head for tier in tiers}
    return Coding(
        media, tiers, 0.0, max(ends, default=0.0), {head: found for head, found in labels.items() if head in used}
    )


def _tiers(elements: Sequence[ElementTree.Element], slots: Mapping[str, float]) -> tuple[Tier, ...]:
    """The tiers: participant and type, or the own name where there is no participant or another tier has both too."""
    named = [_subject_and_head(element) for element in elements]
    tiers = []
    for element, (subject, head) in zip(elements, named, strict=True):
        name = element.attrib["TIER_ID"]
        # a copy of a tier keeps participant and type
        copied = named.count((subject, head)) > 1 and name != " ".join(filter(None, (subject, head)))
        found = tuple(sorted(_annotations(element, slots)))
        tiers.append(Tier(name, "", found) if copied else Tier(subject, head, found))
    return tuple(tiers)


def _subject_and_head(element: ElementTree.Element) -> tuple[str, str]:
    kind = element.attrib.get("LINGUISTIC_TYPE_REF", "")
    head = "" if kind in _NO_HEAD else kind
    name, subject = element.attrib["TIER_ID"], element.attrib.get("PARTICIPANT", "")
    return (subject, head) if subject else (name, "")


def _annotations(element: ElementTree.Element, slots: Mapping[str, float]) -> Iterator[Interval]:
    found = list(element.iter("ALIGNABLE_ANNOTATION"))
    times = _chain_times([(one.attrib["TIME_SLOT_REF1"], one.attrib["TIME_SLOT_REF2"]) for one in found], slots)
    for one, (start, end) in zip(found, times, strict=True):
        label = (one.findtext("ANNOTATION_VALUE") or "").strip()
        if label:
            yield Interval(start, end, label)


def _chain_times(references: Sequence[tuple[str, str]], slots: Mapping[str, float]) -> list[tuple[float, float]]:
    """Start and end of annotations; slots between others have no time of their own, and divide theirs evenly.

    Raises:
        ValueError: a slot without a time that is not between others.
    """
    after = dict(references)
    times = dict(slots)
    for first in [start for start, _ in references if start in slots]:
        chain = [first, after[first]]
        while chain[-1] not in slots and chain[-1] in after and len(chain) <= len(after):
            chain.append(after[chain[-1]])
        if (last := times.get(chain[-1])) is not None:
            for number, slot in enumerate(chain[1:-1], 1):
                times[slot] = times[first] + (last - times[first]) * number / (len(chain) - 1)
    for slot in {slot for pair in references for slot in pair} - set(times):
        raise ValueError(f"the time of the slot {slot} is missing")
    return [(times[start], times[end]) for start, end in references]


def _slots(intervals: Sequence[Interval]) -> list[tuple[int, int, bool]]:
    """Time in milliseconds, number of the interval, and whether it ends there; two for each interval, in order.

    Where one slot served several annotations, moving the end of one in ELAN would move the others.
    """
    slots = []
    for number, one in enumerate(intervals):
        start, end = _milliseconds(one.start), _milliseconds(one.end)
        slots += [(start, 1, number, False), (end, 0 if end > start else 2, number, True)]
    return [(time, number, end) for time, _, number, end in sorted(slots)]


def _milliseconds(seconds: float) -> int:
    return round(1000 * ceil_time(seconds, 3))


def _text(value: str) -> str:
    """Text that XML can hold: it has no form for most control characters and for bytes that are not UTF-8."""
    shown = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c in "\t\n" or (c >= " " and c not in "\ufffe\uffff") else " " for c in shown)


def _relative(video: Path, folder: Path) -> str:
    try:
        return os.path.relpath(video, folder)
    except ValueError:  # on another drive
        return str(video)
