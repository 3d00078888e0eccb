# SPDX-License-Identifier: Apache-2.0
"""How a move ended, for a person: what is one thing to him is one line, with what to do, in each language."""

from __future__ import annotations

from typing import Any

from test_planning import NOW, cloud

from unterbau import locale
from unterbau.switch import planning
from unterbau.switch.report.ending import Ending, Item, ending
from unterbau.switch.report.todo import ALLOWED, ANYTHING, ASK, BLIND, FAILED, LEFT, LOST, OPEN
from unterbau.switch.verify import compare
from unterbau.tenant.kinds import Change, Container, Fate, Network, Snapshot, Volume
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, words

say = Reason.of
SHARED = tuple(Network(id=n, name=n, shared=True) for n in ("n", "m"))
SNAPSHOT = Snapshot(id="t", name="", status="available", volume_id="v", size_gib=1)
VOLUME = Volume(id="v", name="data", status="available", size_gib=1)
BOX = Container(id="box", name="box")
SOURCE = cloud("a", *SHARED, SNAPSHOT, VOLUME, BOX)
PLAN = planning.make(SOURCE, cloud("b"), run="r", now=NOW)


def ended(*there: Any, plan: Any = PLAN, steps: dict[str, str] | None = None, blind: str = "") -> Ending:
    target = cloud("b", *(r.model_copy(update={"id": r.id if r.KNOWN.id_is_name else f"new-{r.id}"}) for r in there))
    notes = (NotShown(what=blind, reason=f"{blind} is down"),) if blind else ()
    return ending(plan, compare(SOURCE, target.model_copy(update={"not_shown": notes}), plan, {}), steps)


def private(network: Network) -> Network:
    return network.model_copy(update={"shared": False})


def test_what_is_lost_is_told_once_for_all_that_lose_the_same_with_what_the_plan_says_to_do() -> None:
    told = ended(*map(private, SHARED), VOLUME, BOX)
    assert told.lost == (
        Item(what="network.shared", things=("n", "m"), why=say("plan.network.private"), todo=ASK),
        Item(what="snapshot", things=("t",), why=say("plan.snapshot"), todo=say("do.volume-from-it")),
    )
    assert told.failed == () and told.opened == ()


def test_what_failed_says_what_mends_a_claim_of_its_kind() -> None:
    told = ended(*map(private, SHARED), BOX, steps={"arrival of volume:v": "no room"})
    assert [(i.what, i.things, i.todo) for i in told.failed] == [
        (say("ending.step"), ("arrival of volume data",), ANYTHING),
        (say("ending.claim", claim="structure", kind="volume"), ("data",), FAILED["structure"]),
        ("completeness", ("volume",), FAILED["completeness"]),
    ]
    assert told.failed[0].why == "no room" and told.failed[1].why == say("verify.missing-there")
    changed = ended(*map(private, SHARED), VOLUME.model_copy(update={"size_gib": 2}), BOX)
    assert [(i.what, i.todo) for i in changed.lost if i.things == ("data",)] == [
        ("volume.size_gib", FAILED["structure"])
    ]


def test_what_opened_is_to_be_closed_or_was_allowed() -> None:
    wide = BOX.model_copy(update={"read_acl": ".r:*"})
    (item,) = ended(*map(private, SHARED), VOLUME, wide).opened
    assert (item.what, item.todo) == (say("ending.opening"), OPEN)
    entries = tuple(
        e.model_copy(update={"fate": Fate.CHANGED, "changes": (Change(field="read_acl", was="", to=".r:*", why="by hand"),)})
        if e.ref == BOX.ref else e for e in PLAN.entries
    )  # fmt: skip
    edited = planning.judged(PLAN.model_copy(update={"entries": entries}), SOURCE, cloud("b"), item.things)
    (let,) = ended(*map(private, SHARED), VOLUME, wide, plan=edited).opened
    assert (let.things, let.why, let.todo) == (item.things, item.why, ALLOWED)


def test_what_was_not_shown_is_to_be_looked_at() -> None:
    (note,) = [
        i for i in ended(*map(private, SHARED), VOLUME, BOX, blind="orders").not_shown if i.things == ("orders",)
    ]
    assert (note.what, note.why, note.todo) == ("coverage", "orders is down", BLIND)


def test_without_a_plan_nothing_was_announced_and_nothing_is_called_lost() -> None:
    told = ended(*map(private, SHARED), VOLUME, BOX, plan=None)
    assert told.lost == () and {i.todo for i in told.failed} == {FAILED["structure"], FAILED["completeness"]}


def test_an_ending_has_words_in_every_language_and_its_file_tells_the_ids() -> None:
    each = (LEFT, LOST, ALLOWED, OPEN, ANYTHING, BLIND, *FAILED.values())
    assert len({words(one, language) for one in each for language in locale.LANGUAGES}) == 2 * len(each)
    told = ended(*map(private, SHARED), VOLUME, BOX).model_dump(mode="json")["lost"][0]
    assert told["todo"] == {"id": "todo.ask", "values": {}, "text": words(ASK)}
    assert told["why"]["id"] == "plan.network.private" and told["what"] == "network.shared"
