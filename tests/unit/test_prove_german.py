# SPDX-License-Identifier: Apache-2.0
"""What `prove` says has a German form: of no cloud of the tests does a judge answer in a bare English sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import pytest
from markupsafe import escape
from prove_world import MUTATIONS, NOW, good_items, inventory
from test_prove_told import decided, mutated
from test_prove_told import odd as spoiled

from unterbau.prove import report
from unterbau.prove.inventory import Inventory, Status, TlsProbe
from unterbau.prove.proof import Question, prove
from unterbau.verdict import Reason, Words, words

ENGLISH = re.compile(r"\b(?:the|is|are|not|with|which|has|have|does|but|none of|of|there)\b")
COMMANDS = re.compile(r"openstack [^,;(]*")


@pytest.fixture(scope="module")
def said() -> list[Words]:
    """What judges say of some of those clouds, a few of each sort, each once."""
    return list(dict.fromkeys(_said()))


def _said() -> Iterator[Words]:
    sections = ("images", "volume_types", "flavors")
    clouds: list[tuple[Inventory, tuple[str, ...]]] = [(seen, ()) for _, seen in islice(mutated(), 0, None, 5)]
    clouds += [(seen, sections) for world in map(spoiled, sections) for _, seen in islice(world(), 0, None, 12)]
    for seen, looked_at in clouds:
        for _, decision in decided(seen, looked_at):
            if not decision.findings:  # else it tells one again
                yield decision.reason
            yield from (decision.note, decision.reference.why if decision.reference else "")
            for finding in decision.findings:
                yield from (finding.observed, finding.required, finding.mend)


@pytest.mark.thorough
def test_no_judge_answers_in_a_bare_sentence(said: list[Words]) -> None:
    assert [told for told in said if isinstance(told, str) and " " in told] == []


@pytest.mark.thorough
def test_what_judges_say_is_german_all_through(said: list[Words]) -> None:
    known = [told for told in said if isinstance(told, Reason)]
    assert len(known) > 150
    assert [german for told in known if ENGLISH.search(COMMANDS.sub("", german := words(told, "de")))] == []


@pytest.mark.thorough
def test_the_report_and_the_endpoints_are_german_too() -> None:
    probes = (
        TlsProbe(service="compute", interface="public", url="http://a.example", status=Status.SEEN, plain=True),
        TlsProbe(
            service="image", interface="public", url="https://b.example", status=Status.SEEN, trusted=False,
            trust_error="self-signed certificate", ciphers=("NULL-SHA",),
            protocols={"TLSv1": True, "TLSv1.1": None, "TLSv1.2": False, "TLSv1.3": False},
        ),
    )  # fmt: skip
    seen = inventory(MUTATIONS[0].apply(good_items())).model_copy(update={"tls": probes})
    proof = prove(seen, Question(version="all", at=NOW.replace(year=2027)))
    told: list[Words] = [*proof.report.notes, *(c.what for c in proof.report.coming), *(c.reason for c in proof.secure)]
    told += [t for c in proof.secure for f in c.findings for t in (f.observed, f.required, f.mend)]
    assert [t for t in told if isinstance(t, str)] == [] and len(told) > 20
    same = [words(t) for t in told if words(t, "de") == words(t)]
    assert {t.rpartition(": ")[2] for t in same} <= {"self-signed certificate"}, "what OpenSSL said"


@pytest.mark.parametrize("case", ["scs-0103-flavor-1v-4", "scs-0102-prop-architecture"])
def test_the_same_reason_in_both_languages_is_one_reason(case: str) -> None:
    one, other = (next(d for c, d in decided(inventory(), ()) if c == case) for _ in range(2))
    assert one == other and words(one.reason, "de") != words(one.reason)


@pytest.mark.thorough
def test_the_page_is_in_both_languages_and_begins_with_the_one_that_is_asked_for() -> None:
    proof = prove(inventory(MUTATIONS[0].apply(good_items())), Question(version="v5.1", at=NOW))
    pages = {language: report.html([proof], language) for language in ("de", "en")}
    for language, page in pages.items():
        assert f'<html lang="{language}">' in page
        assert re.findall(r'id="lang-(..)"[^>]* checked>', page) == [language]
        for one in ("de", "en"):
            assert all(escape(words(c.reason, one)) in page for c in proof.report.cases if not c.findings)
        assert "✗ verfehlt" in page and "✗ failed" in page
    english = re.sub(r'<span lang="de">.*?</span>', "", pages["de"])
    german = re.sub(r'<span lang="en">.*?</span>', "", pages["de"])
    assert "verlangt" not in english and "How to mend" not in german and "required" not in german
