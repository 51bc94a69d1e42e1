"""The texts of the notice, in one data file: `mien notice`, the sign and the browser page read the same sentences.

``texts.json`` holds, per language of the EU: ``name`` of the language, ``heading``, ``review`` (a lawyer must review
the text) and ``sentences`` with ``id``, ``text`` and ``sources``, the articles that each is based on. Some have blanks
such as ``{operator}``. ``page`` lists the sentences that stand on a screen or a sign; ``checklist`` holds the questions
to answer before use, in English.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.errors import InputError, choose_one

FILE = Path(__file__).with_name("texts.json")
_BLANK = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a notice.

    Attributes:
        id: its name, the same in all languages.
        text: the sentence; blanks such as ``{operator}`` are filled by `Notice.filled`.
        sources: the articles that it is based on.

    Examples:
        >>> sentence = next(one for one in notice("en").sentences if one.blanks)
        >>> sentence.blanks, sentence.cited.endswith("]")
        (('operator',), True)
    """

    id: str
    text: str
    sources: tuple[str, ...]

    @property
    def blanks(self) -> tuple[str, ...]:
        """Names of its blanks."""
        return tuple(_BLANK.findall(self.text))

    @property
    def cited(self) -> str:
        """The sentence with its articles in brackets."""
        return f"{self.text} [{'; '.join(self.sources)}]"


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice in one language.

    Attributes:
        language: code of the language, such as "de".
        name: the language's own name.
        heading: one line.
        review: that a lawyer must review the text.
        sentences: in order.

    Examples:
        >>> text = notice("en").filled({"operator": "Example Ltd"}).to_text()
        >>> "Example Ltd" in text, len(notice("en").short().sentences) < len(notice("en").sentences)
        (True, True)
    """

    language: str
    name: str
    heading: str
    review: str
    sentences: tuple[Sentence, ...]

    def filled(self, values: Mapping[str, str]) -> Notice:
        """With the blanks filled; one without a value becomes a line to write on."""

        def fill(blank: re.Match[str]) -> str:
            return values.get(blank[1], "").strip() or "____________"

        return replace(self, sentences=tuple(replace(one, text=_BLANK.sub(fill, one.text)) for one in self.sentences))

    def short(self) -> Notice:
        """The sentences that stand on a screen or a sign: they have no blanks."""
        shown = _document()["page"]
        return replace(self, sentences=tuple(one for one in self.sentences if one.id in shown))

    def to_text(self) -> str:
        """Plain text: heading, one sentence per line with its articles, and the reminder of a review by a lawyer."""
        return "\n".join([self.heading, "", *(one.cited for one in self.sentences), "", self.review]) + "\n"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the checklist.

    Attributes:
        question: to be answered with yes or no.
        stop: whether a yes ends it: the use is prohibited.
        action: what follows.
        sources: the articles that it is based on.

    Examples:
        >>> question = checklist()[0]
        >>> question.stop, len(question.sources) > 0
        (True, True)
    """

    question: str
    stop: bool
    action: str
    sources: tuple[str, ...]


@functools.cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def languages() -> tuple[str, ...]:
    """Codes of the languages, English first.

    Examples:
        >>> languages()[:3], len(languages())
        (('en', 'de', 'es'), 8)
    """
    return tuple(_document()["languages"])


def notice(language: str) -> Notice:
    """The notice in a language, such as "de".

    Raises:
        InputError: there is none in this language.

    Examples:
        >>> notice("de").name
        'Deutsch'
        >>> print(notice("en").short().to_text().splitlines()[0])
        Facial expressions are analysed here
    """
    if language not in languages():
        raise InputError(f"no notice in the language {language!r}", advice=choose_one(language, languages()))
    one = _document()["languages"][language]
    sentences = tuple(Sentence(s["id"], s["text"], tuple(s["sources"])) for s in one["sentences"])
    return Notice(language, one["name"], one["heading"], one["review"], sentences)


def checklist() -> tuple[Question, ...]:
    """The questions to answer before use, those whose yes is a prohibition first.

    Examples:
        >>> [question.stop for question in checklist()][:2]
        [True, True]
    """
    return tuple(Question(q["question"], q["stop"], q["action"], tuple(q["sources"])) for q in _document()["checklist"])


def checklist_text() -> str:
    """The checklist as plain text.

    Examples:
        >>> checklist_text().splitlines()[0]
        'Before emotion recognition is used'
    """
    acts = "; ".join(f"{short}: {full}" for short, full in _document()["acts"].items())
    lines = ["Before emotion recognition is used", ""]
    for number, one in enumerate(checklist(), 1):
        follows = f"Yes → STOP. {one.action}" if one.stop else one.action
        lines.append(f"{number}. [ ] yes  [ ] no  {one.question} {follows} [{'; '.join(one.sources)}]")
    return "\n".join([*lines, "", acts, "", notice("en").review]) + "\n"


def page_script() -> str:
    """JavaScript module of the browser page: ``NOTICES``, code of a language → name, heading, text."""
    lines = [
        "// Written by tools/generate.py from src/mien/notice/texts.json: the notice for people in front of a camera",
        "// (AI Act, Art. 50(3)), per language of the EU: its name, a heading and a text.",
        "",
        "export const NOTICES = {",
    ]
    for language in languages():
        one = notice(language).short()
        words = [one.name, one.heading, " ".join(sentence.text for sentence in one.sentences)]
        lines += [f"  {language}: [", *(f"    {json.dumps(word, ensure_ascii=False)}," for word in words), "  ],"]
    return "\n".join([*lines, "};"]) + "\n"
