"""The notice: the same sentences in every language, each with its article, and the same in the page and on the sign."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from mien.errors import InputError
from mien.notice.sign import save_sign
from mien.notice.texts import checklist, checklist_text, languages, notice, page_script

STATIC = Path(__file__).parents[2] / "src" / "mien" / "web" / "static"


def test_every_language_has_the_same_sentences_with_the_same_blanks() -> None:
    english = notice("en")
    assert set(languages()) == {"en", "de", "es", "fr", "it", "nl", "pl", "pt"}
    for language in languages():
        one = notice(language)
        assert [s.id for s in one.sentences] == [s.id for s in english.sentences]
        assert [s.blanks for s in one.sentences] == [s.blanks for s in english.sentences]
        assert one.review
        assert one.review not in {notice(other).review for other in languages() if other != language}


def numbers(source: str) -> list[str]:
    return re.findall(r"\d+", source)


def test_every_sentence_cites_the_same_articles_in_every_language() -> None:
    for at, sentence in enumerate(notice("en").sentences):
        assert sentence.sources
        for language in languages():
            theirs = notice(language).sentences[at].sources
            assert [numbers(source) for source in theirs] == [numbers(source) for source in sentence.sources], language
    text = notice("en").to_text()
    assert "An emotion recognition system is in operation here. [AI Act, Art. 50(3)]" in text
    assert text.rstrip().endswith("A lawyer must review this text before it is used.")


def test_blanks_are_filled_and_missing_values_are_lines_to_write_on() -> None:
    text = notice("en").filled({"operator": "Lab {3}", "contact": " "}).to_text()
    assert "Responsible for the system: Lab {3}." in text
    assert "Questions: ____________." in text
    assert "{purpose}" not in text
    assert not any(sentence.blanks for language in languages() for sentence in notice(language).short().sentences)


def test_prohibited_uses_stop_the_checklist_first() -> None:
    questions = checklist()
    assert questions[0].stop
    assert questions[0].sources == ("AI Act, Art. 5(1)(f)",)
    stops = [one.stop for one in questions]
    assert stops == sorted(stops, reverse=True)
    assert all(one.sources for one in questions)
    assert "STOP. Inferring emotions there is prohibited. [AI Act, Art. 5(1)(f)]" in checklist_text()
    assert "A lawyer must review this text" in checklist_text()


def test_the_page_has_the_same_words() -> None:
    assert (STATIC / "notice_text.js").read_text(encoding="utf-8") == page_script()
    for language in languages():
        assert all(sentence.text in page_script() for sentence in notice(language).short().sentences)


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_signs_are_pages_of_a4_and_the_same_every_time(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    first = save_sign([notice("de"), notice("pl")], tmp_path / f"a{suffix}").read_bytes()
    assert first == save_sign([notice("de"), notice("pl")], tmp_path / f"b{suffix}").read_bytes()
    if suffix == ".png":
        with Image.open(tmp_path / "a.png") as page:
            width, height = page.size
        assert height / width == pytest.approx(297 / 210, abs=0.01)
    if suffix == ".svg":
        # outlines: it looks the same without fonts
        assert b"<text" not in first


def test_all_languages_fit_on_one_sign_and_more_do_not(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    every = [notice(language) for language in languages()]
    with Image.open(save_sign(every, tmp_path / "sign.png")) as picture:
        page = picture.convert("L")
    ink = page.point(lambda value: 255 * (value < 128)).getbbox()
    assert ink is not None
    # nothing runs over the edges
    assert min(ink[0], ink[1], page.width - ink[2], page.height - ink[3]) > 40
    with pytest.raises(InputError, match="24 languages do not fit on one sign"):
        save_sign(every * 3, tmp_path / "sign.png")
    with pytest.raises(InputError, match=r"use the suffix \.pdf"):
        save_sign(every, tmp_path / "sign.doc")
