# SPDX-License-Identifier: Apache-2.0
"""The report is one file, in two languages, and harmless whatever names the clouds hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unterbau.canonical import digest_bytes
from unterbau.switch import evidence
from unterbau.switch.plan import Interval, Prediction
from unterbau.switch.report import html, todo
from unterbau.switch.report.drawing import topology
from unterbau.tenant.kinds import Network, Opened, Server
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Outcome, Reason, Verdict

REAL = (Path(__file__).parents[1] / "assets" / "drill.unterbau").read_bytes()
CHECKED = evidence.check(REAL)


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["de", "en"])
def test_one_file_without_external_resources(language: str) -> None:
    page = html.render(CHECKED, digest_bytes(REAL), language)
    assert page.startswith("<!doctype html>") or page.lstrip().startswith("<!doctype html>")
    assert not re.search(r"(?:src|href)\s*=", page)
    assert "default-src 'none'" in page and "<script" not in page
    for words in ("nicht gezeigt", "not shown", "Was nicht gezeigt wurde", "What was not shown"):
        assert words in page


@pytest.mark.thorough
def test_every_verdict_that_did_not_hold_and_every_left_object_is_named() -> None:
    page = html.render(CHECKED, digest_bytes(REAL))
    for entry in CHECKED.bundle.plan.entries:
        if not entry.fate.moves:
            assert entry.name in page
    assert "user_data is not readable" in page
    assert CHECKED.signer in page


@pytest.mark.thorough
def test_a_bundle_from_before_openings_were_judged_says_that_nobody_looked() -> None:
    page = html.render(CHECKED, digest_bytes(REAL))
    assert "Nobody looked for it" in page and "Danach wurde nicht gesehen" in page
    assert "Öffnung<" not in page and not [v for v in CHECKED.verdicts if v.claim.kind == "opening"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("verification", "said"),
    [
        (None, "Vorhergesagt: Umzug 60 s – 119 s; nach r."),
        (Interval(lower_seconds=0, upper_seconds=0), "Prüfung nicht gemessen, zusammen nicht gemessen; nach r."),
        (
            Interval(lower_seconds=60, upper_seconds=121, runs=("r",)),
            "Umzug 60 s – 119 s, Prüfung 60 s – 2.0 min, zusammen 2.0 min – 4.0 min; nach r. Frist: 2.0 h.",
        ),
        (
            Interval(lower_seconds=60, upper_seconds=90, runs=("r",), unmeasured=("tidying",)),
            "Prüfung 60 s – 90 s (nicht gemessen und nicht darin: tidying), zusammen",
        ),
    ],
)
def test_how_long_was_predicted_for_move_verification_and_both(verification: Interval | None, said: str) -> None:
    told = Prediction(lower_seconds=60, upper_seconds=119, runs=("r",), verification=verification, limit_seconds=7200)
    bundle = CHECKED.bundle.model_copy(update={"plan": CHECKED.bundle.plan.model_copy(update={"prediction": told})})
    page = html.render(CHECKED.model_copy(update={"bundle": bundle}), digest_bytes(REAL), "de")
    german = re.sub(r'<span lang="en">.*?</span>|<[^>]+>', "", page)
    assert said in " ".join(german.split())


def test_what_is_open_on_the_target_stands_in_the_report_with_whether_it_was_allowed() -> None:
    told = CHECKED.bundle.verification
    opening = Opening.of(Opened.GATEWAY, "public", {"router:r": "router <edge>"})
    claim = Claim(id=f"opening {opening.id}", kind="opening", subject="router:r",
                  text=Reason.of("claim.opening", opening=opening.text))  # fmt: skip
    reasons = {
        Outcome.HELD: Reason.of("verify.opened.allowed", id=opening.id),
        Outcome.FAILED: Reason.of("verify.opened.shut", id=opening.id),
    }
    for outcome, reason in reasons.items():
        verdict = Verdict(claim=claim, outcome=outcome, reason=reason)
        bundle = CHECKED.bundle.model_copy(update={"verification": told.model_copy(update={"judging": ("openings",)})})
        page = html.render(
            CHECKED.model_copy(update={"bundle": bundle, "verdicts": (*CHECKED.verdicts, verdict)}), digest_bytes(REAL)
        )
        assert "router &lt;edge&gt; führt zum externen Netz public" in page and "Nobody looked" not in page
        assert ("Confirm that it is to stay open" in page) is (outcome is Outcome.HELD)
        assert ("Am Ziel schließen" in page) is (outcome is Outcome.FAILED)


@pytest.mark.thorough
def test_where_todays_judging_differs_from_the_bundles_own_both_are_told_and_the_worst_first() -> None:
    claims = [v.claim for v in CHECKED.verdicts if v.outcome is Outcome.HELD][:1]
    new = Claim(id="opening x", kind="opening", subject="router:<x>", text="a <new> claim")
    today = (Verdict(claim=claims[0], outcome=Outcome.NOT_SHOWN, reason=Reason.of("verify.not-read")),
             Verdict(claim=new, outcome=Outcome.FAILED, reason="it <opened>"))  # fmt: skip
    page = html.render(CHECKED.model_copy(update={"today": today}), digest_bytes(REAL))
    assert "What today&#39;s judgings say otherwise" in page and "Was heute anders beurteilt wird" in page
    section = page[page.index("today&#39;s judgings") : page.index("What was lost or changed")]
    first, second = section.split("<tr>")[2:]
    assert "a &lt;new&gt; claim" in first and "router:&lt;x&gt;" in first and "it &lt;opened&gt;" in first
    assert "nicht geprüft" in first and "nicht gehalten" in first
    assert claims[0].subject in second and "held" in second and "not shown" in second and "it was not read" in second
    assert "judgings say otherwise" not in html.render(CHECKED.model_copy(update={"today": ()}), digest_bytes(REAL))


def test_names_with_markup_or_escapes_are_harmless() -> None:
    evil = '<script>alert(1)</script>"\x1b[31m\u202e'
    network = Network(id="n", name=evil)
    workload = CHECKED.bundle.source.model_copy(update={"resources": (network,)})
    drawn = str(topology(workload, {}, evil))
    assert "<script" not in drawn and "\x1b" not in drawn and "\u202e" not in drawn


def test_an_empty_side_can_be_drawn() -> None:
    workload: Workload = CHECKED.bundle.source.model_copy(update={"resources": ()})
    assert "<svg" in topology(workload, {}, "empty")
    assert not workload.of(Server)


def kept(name: str, language: str = "de") -> tuple[evidence.CheckResult, str]:
    data = (Path(__file__).parents[1] / "assets" / name).read_bytes()
    told = evidence.check(data)
    return told, html.render(told, digest_bytes(data), language)


def lead(page: str, language: str) -> str:
    """The report's first sentence."""
    (first,) = re.findall(r'<p class="lead">(.*?)</p>', page, re.S)
    (said,) = re.findall(rf'<span lang="{language}">(.*?)</span>', first, re.S)
    return str(said)


@pytest.mark.thorough
def test_the_first_sentence_says_whether_it_can_be_moved_and_what_does_not_come_along() -> None:
    _, page = kept("drill-2026-11.unterbau")
    assert lead(page, "de") == (
        "Das Projekt „quelle“ lässt sich von quelle nach ziel umziehen, soweit es sich prüfen ließ: In der Probe vom "
        "26.11.2026 kamen 73 von 74 Teilen (Server, Netze, Daten) an, und nichts schlug fehl; ein Teil bleibt zurück, "
        "7 Einzelheiten gehen verloren, 6 Punkte ließen sich nicht prüfen."
    )
    assert lead(page, "en").startswith("The project “quelle” can be moved from quelle to ziel, as far as it could be")
    assert page.index('class="lead"') < page.index('class="verdict')


@pytest.mark.thorough
@pytest.mark.parametrize(("outcome", "says"), [(Outcome.HELD, "umziehen: "), (Outcome.FAILED, "so noch nicht von")])
def test_the_first_sentence_never_says_more_than_the_outcome(outcome: Outcome, says: str) -> None:
    told, _ = kept("drill-2026-11.unterbau")
    verdicts = (told.verdicts[0].model_copy(update={"outcome": outcome}),)
    page = html.render(
        told.model_copy(update={"verdicts": verdicts, "today": (), "outcome": outcome}), digest_bytes(REAL)
    )
    assert says in lead(page, "de") and ("soweit" in lead(page, "de")) is False
    assert ("schlug eine Prüfung fehl" in lead(page, "de")) is (outcome is Outcome.FAILED)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["drill.unterbau", "drill-2026-11.unterbau", "golden/format-2-drill.unterbau"])
def test_wherever_a_person_has_to_do_something_the_page_says_what(name: str) -> None:
    told, page = kept(name)
    for head, body in re.findall(r"<thead>(.*?)</thead>\s*<tbody>(.*?)</tbody>", page, re.S):
        heads = re.findall(r"<th>(.*?)</th>", head, re.S)
        at = [n for n, text in enumerate(heads) if "Was ein Mensch tut" in text]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.S):
            cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)
            assert all(re.sub(r"<[^>]+>", "", cells[n]).strip() for n in at), row
    tables = [[v for v in told.verdicts if v.claim.kind == "loss"], [e for e in told.bundle.plan.entries if e.remedy]]
    assert page.count("Was ein Mensch tut") >= 2 + sum(map(bool, tables))


@pytest.mark.thorough
def test_what_is_changed_says_what_to_do_by_its_cause() -> None:
    told, _ = kept("drill-2026-11.unterbau")
    by_ref = {e.ref.partition(":")[0]: str(todo.of_entry(e)) for e in told.bundle.plan.entries if e.losses}
    assert "DNS entry" in by_ref["floating_ip"] and "new address" in by_ref["router"]
    disk = [str(todo.of_entry(e)) for e in told.bundle.plan.entries if e.name == "fv-web-1"]
    assert "local disk" in disk[0] and "user_data" in disk[0]


@pytest.mark.thorough
def test_a_wide_tenant_is_drawn_in_bands_as_wide_as_a_page_and_nothing_is_left_out() -> None:
    told, _ = kept("drill-2026-11.unterbau")
    source = told.bundle.source
    (server, *_) = source.of(Server)
    more = [server.model_copy(update={"id": f"s{n}", "name": f"server-{n}"}) for n in range(23)]
    drawn = str(topology(source.model_copy(update={"resources": (*source.resources, *more)}), {}, "side"))
    widths = [int(w) for w in re.findall(r'<svg[^>]* width="(\d+)"', drawn)]
    assert len(widths) == 6 and max(widths) <= 900
    assert all(f"server-{n}<" in drawn for n in range(23))
    assert all(drawn.count(f">{n.name}<") >= 1 for n in source.of(Network))
