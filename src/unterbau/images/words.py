# SPDX-License-Identifier: Apache-2.0
"""What `unterbau images` says at the terminal."""

from __future__ import annotations

from unterbau.face.results import MARKS, listed, say
from unterbau.images.model import Listed, MadeAll
from unterbau.verdict import words


def images(told: Listed) -> None:
    """Each entry, then what the cloud has of it."""
    for known in told.images:
        entry = known.entry
        say(f"{entry.name}: {entry.title}" + ("" if entry.folder else " (no address is known)"))
        for image in known.there:
            marks = [
                image.visibility,
                *(["hidden"] if image.hidden else []),
                "added by us" if image.added else "not ours",
            ]
            say(
                f"  {image.name}  {image.id}  built {image.build_date or 'on a day that it does not say'}, {', '.join(marks)}"
            )


def made(told: MadeAll) -> None:
    """One line an entry, and how its signature was."""
    if not told.images:
        say(f"nothing to renew: no image of {told.cloud} was added by `unterbau images add`")
    for one in told.images:
        if one.error is not None:
            listed(f"{one.entry}: failed", str(one.error["what"]), str(one.error["remedy"]))
            continue
        say(f"{one.entry}: {one.did}: {one.name}  {one.id}  built {one.build_date}, {one.visibility}")
        listed(f"signature  {MARKS[one.signature]}", words(one.signature_said))
        for id_ in one.retired:
            say(f"  renamed and hidden, its id stays valid: {id_}")
