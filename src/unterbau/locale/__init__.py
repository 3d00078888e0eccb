# SPDX-License-Identifier: Apache-2.0
"""The words of typed reasons: a gettext catalogue (.po) for each language, and how numbers are written in it.

`unterbau.verdict.reason` calls it; nothing else does. A message's id is the id of a reason, so no sentence of one
language is the key to that of another. The catalogues are read as they are written, when the first word is wanted:
nothing is compiled, committed or installed beside them. Not here: which reasons there are (who makes them says).
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations
from importlib.resources import files
from io import BytesIO

LANGUAGES = ("en", "de")
DOMAIN = "unterbau"


def template(id_: str, language: str, count: int | None = None) -> str | None:
    """The sentence with its `{placeholders}`; None if the catalogue has no such id.

    `count` chooses between the forms of a sentence that has several.
    """
    read = catalogue(language)
    told = read.gettext(id_) if count is None else read.ngettext(id_, id_, count)
    if told == id_ and count is not None:
        told = read.gettext(id_)
    return None if told == id_ or not id_ else told


def spelled(text: str) -> str:
    """The id of the message whose English words are exactly these, of those that ask for no values; "" if none is."""
    return _spellings().get(text, "")


@cache
def _spellings() -> dict[str, str]:
    messages: dict[str, str] = catalogue("en")._catalog  # type: ignore[attr-defined]
    return {words: id_ for id_, words in messages.items() if isinstance(id_, str) and id_ and "{" not in words}


def number(value: float, language: str) -> str:
    """A quantity as it is written there: 4,096 in English, 4.096 in German."""
    if isinstance(value, int) and -1000 < value < 1000:
        return str(value)
    from babel.numbers import format_decimal

    return format_decimal(value, locale=language)


@cache
def catalogue(language: str) -> GNUTranslations:
    """All messages of one of `LANGUAGES`."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with files(__name__).joinpath(language, "LC_MESSAGES", f"{DOMAIN}.po").open("rb") as written:
        write_mo(compiled, read_po(written, locale=language, domain=DOMAIN, abort_invalid=True))
    compiled.seek(0)
    return GNUTranslations(compiled)
