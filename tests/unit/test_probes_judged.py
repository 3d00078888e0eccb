# SPDX-License-Identifier: Apache-2.0
"""Claims on what the application answers, from answers that a machine makes up: what may be held, and what never."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unterbau.switch.probes.judging import WHOLE, Places, sentence, services
from unterbau.switch.probes.model import (
    Answer,
    Closed,
    Command,
    Dns,
    Http,
    Probe,
    SideName,
    Ssh,
    State,
    Tcp,
    Tls,
    digest,
)
from unterbau.tenant.kinds import CloudIdentity, FloatingIp, Ref
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Outcome, Reason, Verdict, words

NOW = datetime(2026, 11, 26, tzinfo=UTC)
HERE, THERE = "203.0.113.7", "198.51.100.9"
AT, AWAY = "floating_ip:f", "floating_ip:g"
PAGE = Http(id="page", at=AT, port=80)
SHUT = Closed(id="db", at=AT, port=5432, control="page")


def side(name: str, id_: str, address: str, **more: Any) -> Workload:
    identity = CloudIdentity(
        name=name, auth_url=f"https://{name}.example", region="r", project_id=name, project_name=name, user_id="u",
        roles=("member",), catalog_digest="sha256:0",
    )  # fmt: skip
    ips = (FloatingIp(id=id_, address=address, external_network_id="e"),) if address else ()
    return Workload(identity=identity, taken_at=NOW, resources=ips, **more)


def places(there: str = THERE, left: dict[Ref, str] | None = None, **more: Any) -> Places:
    pairs = {AT: AWAY} if there else {}
    return Places(side("a", "f", HERE), side("b", "g", there, **more), pairs, dict(left or {}))


def answer(probe: Probe, where: SideName, state: State = State.ANSWERED, **more: Any) -> Answer:
    address = HERE if where == "source" else THERE
    told = {"probe": probe.id, "asked": digest(probe), "side": where, "address": address, "at": NOW, "state": state}
    return Answer.model_validate({**told, **more})


def both(probe: Probe, ours: dict[str, Any], theirs: dict[str, Any], **more: Any) -> list[Answer]:
    return [answer(probe, "source", facts=ours, **more), answer(probe, "target", facts=theirs, **more)]


def judged(probes: list[Probe], answers: list[Answer], where: Places | None = None) -> dict[str, Verdict]:
    return {v.claim.id: v for v in services(probes, answers, where or places())}


def outcome(probe: Probe, answers: list[Answer], where: Places | None = None) -> Outcome:
    return judged([probe], answers, where)[f"service {probe.id}"].outcome


GOOD = {"status": 200, "body": "sha256:1", "header content-type": "sha256:2"}


def test_what_answers_the_same_is_held_and_the_report_begins_with_it() -> None:
    found = judged([PAGE], both(PAGE, GOOD, GOOD))
    assert found["service page"].outcome is Outcome.HELD and found[WHOLE].outcome is Outcome.HELD
    assert words(sentence(found.values())) == "The application answers on the target as it did on the source."
    assert words(sentence(found.values()), "de") == "Die Anwendung antwortet am Ziel, wie sie es an der Quelle tat."


@pytest.mark.parametrize(
    "change",
    [{"status": 404}, {"body": "sha256:x"}, {"header content-type": "sha256:x"}, {"header location": "sha256:x"}],
    ids=str,
)
def test_another_answer_has_failed(change: dict[str, Any]) -> None:
    found = judged([PAGE], both(PAGE, GOOD, GOOD | change))
    assert found["service page"].outcome is Outcome.FAILED and found[WHOLE].outcome is Outcome.FAILED
    assert words(sentence(found.values())).startswith("The application does not answer on the target")


@pytest.mark.parametrize("state", [State.REFUSED, State.SILENT, State.GARBAGE])
def test_what_answers_no_more_has_failed_and_what_never_did_is_not_shown(state: State) -> None:
    alive, dead = answer(PAGE, "source", facts=GOOD), answer(PAGE, "target", state)
    assert outcome(PAGE, [alive, dead]) is Outcome.FAILED
    for theirs in (answer(PAGE, "target", facts=GOOD), dead):
        assert outcome(PAGE, [answer(PAGE, "source", state), theirs]) is Outcome.NOT_SHOWN


def test_what_changes_by_itself_is_passed_over_and_told_unless_it_is_what_was_asked_for() -> None:
    changed = GOOD | {"header content-type": "sha256:x"}
    ours = answer(PAGE, "source", facts=GOOD, unsteady=("header content-type",))
    found = judged([PAGE], [ours, answer(PAGE, "target", facts=changed)])["service page"]
    assert found.outcome is Outcome.HELD and "header content-type" in words(found.reason)
    ours = answer(PAGE, "source", facts=GOOD, unsteady=("body",))
    assert outcome(PAGE, [ours, answer(PAGE, "target", facts=GOOD | {"body": "sha256:x"})]) is Outcome.NOT_SHOWN
    relaxed = PAGE.model_copy(update={"body": "ignore"})
    assert outcome(relaxed, both(relaxed, GOOD, GOOD | {"body": "sha256:x"})) is Outcome.HELD


def test_a_page_too_long_to_compare_is_not_shown() -> None:
    facts = {"status": 200}
    assert outcome(PAGE, both(PAGE, facts, facts)) is Outcome.NOT_SHOWN


def test_headers_that_a_person_ignores_count_for_nothing() -> None:
    probe = PAGE.model_copy(update={"ignore": ("server",)})
    assert outcome(probe, both(probe, GOOD | {"header server": "a"}, GOOD | {"header server": "b"})) is Outcome.HELD


def test_an_answer_counts_for_its_question_and_its_place_only() -> None:
    good = both(PAGE, GOOD, GOOD)
    elsewhere = [good[0], good[1].model_copy(update={"address": "198.51.100.1"})]
    other = [good[0], good[1].model_copy(update={"asked": digest(SHUT)})]
    swapped = [good[0], good[0].model_copy(update={"side": "target"})]
    for answers in (elsewhere, other, swapped, good[:1], good[1:], []):
        assert outcome(PAGE, answers) is Outcome.NOT_SHOWN


def test_a_place_that_the_target_lacks_has_failed_unless_the_plan_leaves_it_or_nobody_could_see() -> None:
    alive = [answer(PAGE, "source", facts=GOOD)]
    assert outcome(PAGE, alive, places("")) is Outcome.FAILED
    assert outcome(PAGE, alive, places("", {AT: "no such network"})) is Outcome.NOT_SHOWN
    hidden = (NotShown(what="floating_ip", reason=Reason.of("census.no-service")),)
    assert outcome(PAGE, alive, places("", not_shown=hidden)) is Outcome.NOT_SHOWN


ROWS = Command(id="rows", at=AT, user="alpine", run="psql -At -c 'select count(*) from akten'")
RAN = {"exit status": 0, "output": "sha256:1"}


def test_a_command_that_ends_and_says_the_same_is_held() -> None:
    assert outcome(ROWS, both(ROWS, RAN, RAN)) is Outcome.HELD
    assert outcome(ROWS, both(ROWS, RAN | {"exit status": 2}, RAN | {"exit status": 2})) is Outcome.HELD, "as it did"
    for change in ({"exit status": 1}, {"output": "sha256:x"}):
        assert outcome(ROWS, both(ROWS, RAN, RAN | change)) is Outcome.FAILED
    relaxed = ROWS.model_copy(update={"output": "ignore"})
    assert outcome(relaxed, both(relaxed, RAN, RAN | {"output": "sha256:x"})) is Outcome.HELD
    assert outcome(relaxed, both(relaxed, RAN, RAN | {"exit status": 1})) is Outcome.FAILED
    assert ROWS.run in words(judged([ROWS], both(ROWS, RAN, RAN))["service rows"].claim.text)


def test_a_command_that_was_not_let_in_on_a_side_is_not_shown_and_its_reason_is_told() -> None:
    why = Reason.of("service.state.no-login")
    shut = {side: answer(ROWS, side, State.UNREACHABLE, reason=why) for side in ("source", "target")}
    ran = {side: answer(ROWS, side, facts=RAN) for side in ("source", "target")}
    for answers in ([shut["source"], ran["target"]], [ran["source"], shut["target"]], list(shut.values())):
        found = judged([ROWS], answers)["service rows"]
        assert found.outcome is Outcome.NOT_SHOWN and words(why) in words(found.reason)
        assert words(why, "de") in words(found.reason, "de")


def test_a_command_that_says_too_much_shows_nothing_by_itself_and_has_failed_where_it_was_short() -> None:
    relaxed = ROWS.model_copy(update={"output": "ignore"})
    assert outcome(ROWS, both(ROWS, {}, {})) is Outcome.NOT_SHOWN
    assert outcome(relaxed, both(relaxed, {}, {})) is outcome(relaxed, both(relaxed, {}, RAN)) is Outcome.NOT_SHOWN
    assert outcome(ROWS, both(ROWS, RAN, {})) is outcome(relaxed, both(relaxed, RAN, {})) is Outcome.FAILED


def test_an_output_that_changes_by_itself_is_not_shown_and_one_that_names_the_address_is_a_loss() -> None:
    ours = answer(ROWS, "source", facts=RAN, unsteady=("output",))
    assert outcome(ROWS, [ours, answer(ROWS, "target", facts=RAN | {"output": "sha256:x"})]) is Outcome.NOT_SHOWN
    found = judged([ROWS], both(ROWS, RAN, RAN, placed=("output",)))
    assert found["service rows"].outcome is Outcome.HELD and f"lost {AT}.rows.output" in found


# --- closed


def closing(ours: State, theirs: State, control: tuple[State, State] = (State.ANSWERED, State.ANSWERED)) -> Outcome:
    answers = [answer(SHUT, "source", ours), answer(SHUT, "target", theirs)]
    answers += [answer(PAGE, "source", control[0], facts=GOOD), answer(PAGE, "target", control[1], facts=GOOD)]
    return judged([PAGE, SHUT], answers)["service db"].outcome


CLOSED = (State.REFUSED, State.SILENT)


@pytest.mark.thorough
@given(st.sampled_from(State), st.sampled_from(State), st.sampled_from(State), st.sampled_from(State))
def test_a_closed_port_is_held_only_where_its_control_answers_on_both_sides(
    ours: State, theirs: State, here: State, there: State
) -> None:
    found = closing(ours, theirs, (here, there))
    shut = ours in CLOSED and theirs in CLOSED
    assert (found is Outcome.HELD) == (shut and here is there is State.ANSWERED)
    opened = ours in CLOSED and theirs not in (*CLOSED, State.UNREACHABLE)
    assert (found is Outcome.FAILED) == (opened and here is State.ANSWERED)


def test_a_closed_port_without_its_control_in_the_plan_is_not_shown() -> None:
    answers = [answer(SHUT, "source", State.SILENT), answer(SHUT, "target", State.SILENT)]
    assert outcome(SHUT, answers) is Outcome.NOT_SHOWN


# --- what must differ


def test_a_host_key_made_anew_is_a_loss_and_nothing_else() -> None:
    probe = Ssh(id="shell", at=AT, port=22)
    facts = {"software": "sha256:s", "key type": "ssh-ed25519", "host key": "sha256:1"}
    found = judged([probe], both(probe, facts, facts | {"host key": "sha256:2"}))
    assert found["service shell"].outcome is Outcome.HELD
    lost = found[f"lost {AT}.shell.host-key"]
    assert (lost.claim.kind, lost.claim.subject, lost.outcome) == ("loss", AT, Outcome.NOT_SHOWN)
    assert judged([probe], both(probe, facts, facts)).keys() == {WHOLE, "service shell"}
    assert outcome(probe, both(probe, facts, facts | {"software": "sha256:x"})) is Outcome.FAILED


def test_a_certificate_for_the_old_address_is_a_loss_and_any_other_one_has_failed() -> None:
    probe = Tls(id="tls", at=AT, port=443)
    facts = {"certificate": "sha256:1", "names": ["{address}"]}
    found = judged([probe], both(probe, facts, facts | {"certificate": "sha256:2"}, placed=("names",)))
    assert found["service tls"].outcome is Outcome.HELD
    assert f"lost {AT}.tls.certificate" in found
    named = facts | {"names": ["a.test"]}
    assert outcome(probe, both(probe, named, named | {"certificate": "sha256:2"})) is Outcome.FAILED
    relaxed = probe.model_copy(update={"certificate": "ignore"})
    assert outcome(relaxed, both(relaxed, named, named | {"certificate": "sha256:2"})) is Outcome.HELD
    assert outcome(relaxed, both(relaxed, named, {"certificate": "sha256:2", "names": ["b.test"]})) is Outcome.FAILED


def test_what_names_its_own_address_is_held_with_a_loss() -> None:
    probe = Dns(id="ns", at=AT, query="www.example.org")
    facts = {"code": "NOERROR", "number": 1, "records": "sha256:r"}
    found = judged([probe], both(probe, facts, facts, placed=("records",)))
    assert found["service ns"].outcome is Outcome.HELD
    assert HERE in words(found[f"lost {AT}.ns.records"].reason) and THERE in words(
        found[f"lost {AT}.ns.records"].reason
    )
    assert outcome(probe, both(probe, facts, facts | {"records": "sha256:x"}, placed=("records",))) is Outcome.FAILED


# --- laws over all answers

SHELL, BANNER, SECURED = Ssh(id="shell", at=AT, port=22), Tcp(id="smtp", at=AT, port=25), Tls(id="tls", at=AT, port=443)
ALL: list[Probe] = [PAGE, SHUT, SHELL, BANNER, SECURED, Dns(id="ns", at=AT, query="a.org"), ROWS]
NAMES = [
    "exit status",
    "output",
    "status",
    "body",
    "banner",
    "certificate",
    "names",
    "host key",
    "code",
    "records",
    "header server",
]
facts = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.integers(0, 3), st.sampled_from("ab"), st.none(), st.lists(st.sampled_from("ab"), max_size=2)))  # fmt: skip


BUSY = settings(suppress_health_check=[HealthCheck.too_slow])
"""Much is drawn for each example; on a busy machine that is slow, and no fault."""


@st.composite
def answered(draw: st.DrawFn) -> list[Answer]:
    found = []
    for probe in ALL:
        for where in ("source", "target"):
            if draw(st.booleans()):
                names = st.lists(st.sampled_from(NAMES), max_size=2).map(tuple)
                found.append(answer(probe, where, draw(st.sampled_from(State)), facts=draw(facts), placed=draw(names), unsteady=draw(names)))  # fmt: skip
    return found


@pytest.mark.thorough
@BUSY
@given(answered())
def test_nothing_is_held_that_did_not_answer_at_the_source_and_no_loss_is_ever_held(answers: list[Answer]) -> None:
    found = judged(ALL, answers)
    state = {(a.side, a.probe): a.state for a in answers}
    for probe in ALL:
        verdict = found[f"service {probe.id}"]
        sides = [state.get((s, probe.id)) for s in ("source", "target")]
        if verdict.outcome is Outcome.HELD and not isinstance(probe, Closed):
            assert sides == [State.ANSWERED, State.ANSWERED]
        if sides[0] is not State.ANSWERED and not isinstance(probe, Closed):
            assert verdict.outcome is Outcome.NOT_SHOWN
        if None in sides and verdict.outcome is not Outcome.NOT_SHOWN:
            raise AssertionError("a side was not asked")
    assert all(v.outcome is Outcome.NOT_SHOWN for v in found.values() if v.claim.kind == "loss")
    ones = [found[f"service {p.id}"].outcome for p in ALL]
    assert (found[WHOLE].outcome is Outcome.HELD) == (set(ones) == {Outcome.HELD})


@pytest.mark.thorough
@BUSY
@given(answered())
def test_the_verdicts_follow_from_the_answers_in_any_order(answers: list[Answer]) -> None:
    assert services(ALL, answers, places()) == services(ALL, list(reversed(answers)), places())


@pytest.mark.thorough
@BUSY
@given(answered())
def test_answers_survive_being_written_and_read(answers: list[Answer]) -> None:
    assert [Answer.model_validate_json(a.model_dump_json()) for a in answers] == answers


def test_without_probes_there_is_no_claim_and_no_sentence() -> None:
    assert services([], [], places()) == () and sentence([]) == ""
