"""The pieces of the forms: whatever varies is escaped, labels belong to their fields."""

from __future__ import annotations

from tests.wynd_chat.gateway.forms.browser import Form
from wynd_chat.gateway.forms.html import Field, Frame, form, link, message, page, paragraph

HOSTILE = '"><script>alert(1)</script><b onclick=x style=y>&amp;'
FRAME = Frame(HOSTILE, "assets/0/style.css")


def test_nothing_that_varies_becomes_markup() -> None:
    field = Field(name="name", label=HOSTILE, value=HOSTILE, hint=HOSTILE)
    parts = [
        paragraph("You are {}, {}.", HOSTILE, "{0}"),
        form("here", HOSTILE, [field], hidden={"next": HOSTILE, "none": ""}, error=HOSTILE),
        link(HOSTILE, HOSTILE),
        message(HOSTILE),
        message(HOSTILE, is_error=True),
    ]
    shown = Form(page(FRAME, HOSTILE, parts))
    assert (shown.scripts, shown.inline) == (0, 0)
    assert shown.forms == [("here", {"next": HOSTILE, "name": HOSTILE})]
    assert shown.links == [HOSTILE]
    assert shown.text.count("<script>alert(1)</script>") >= 7
    assert "{0}" in shown.text


def test_braces_in_a_text_of_ours_are_the_only_places_of_names() -> None:
    assert paragraph("Hi {}", "<i>") == '<p class="gate-words">Hi <bdi>&lt;i&gt;</bdi></p>'


def test_a_field_has_its_label_and_its_hint() -> None:
    text = Field(name="new", label="New", type="password", hint="long", min_length=15).html()
    assert '<label for="field-new">New</label>' in text
    assert 'aria-describedby="new-hint"' in text
    assert 'id="new-hint"' in text
    assert 'minlength="15"' in text
    assert " required" in text
    assert " required" not in Field(name="x", label="X", is_required=False).html()


def test_a_page_finds_its_style_from_below() -> None:
    assert 'href="assets/0/style.css"' in page(FRAME, "t", [])
    assert 'href="../assets/0/style.css"' in page(FRAME, "t", [], up="../")


def test_errors_begin_like_sentences_and_are_announced() -> None:
    text = form("x", "Go", [], error="wrong name or password")
    assert '<p class="error form-error" role="alert">Wrong name or password</p>' in text
    assert "alert" not in form("x", "Go", [])
