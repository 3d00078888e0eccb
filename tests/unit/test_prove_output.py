# SPDX-License-Identifier: Apache-2.0
"""JUnit, SARIF, OSCAL and the SCS report keep the shape that their readers want, and never turn silence into a pass."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from prove_world import NOW, flavor, good_items, inventory

from unterbau.prove import output
from unterbau.prove.inventory import Status
from unterbau.prove.proof import Proof, Question, counts_as_failed, prove
from unterbau.prove.verdicts import CaseOutcome, Level
from unterbau.verdict import exports

HELD, FAILED, NOT_SHOWN, NOT_APPLICABLE = CaseOutcome
UUID = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"}
TOKEN = {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9._-]*$"}
TEXT = {"type": "string", "pattern": r"^\S(.*\S)?$"}
LINES = {"type": "string", "minLength": 1}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}


def thing(required: str, **properties: Any) -> dict[str, Any]:
    """A JSON schema of an object."""
    return {"type": "object", "required": required.split(), "properties": properties}


def many(of: Any, least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": least}


PROPS = many({**thing("name value", name=TOKEN, value=TEXT, ns={"type": "string"}), "additionalProperties": False})
OSCAL = thing(
    "assessment-results",
    **{
        "assessment-results": thing(
            "uuid metadata import-ap results",
            uuid=UUID,
            metadata=thing(
                "title last-modified version oscal-version",
                **{"title": TEXT, "last-modified": TIME, "version": TEXT, "oscal-version": {"const": "1.1.2"}},
            ),
            results=many(
                {
                    **thing(
                        "uuid title description start reviewed-controls",
                        uuid=UUID, start=TIME, props=PROPS, title=TEXT, description=LINES,
                        findings=many(
                            thing(
                                "uuid title description target",
                                uuid=UUID, title=TEXT, description=LINES,
                                target=thing(
                                    "type target-id status",
                                    **{
                                        "type": {"enum": ["statement-id", "objective-id"]}, "target-id": TOKEN,
                                        "status": thing(
                                            "state", state={"enum": ["satisfied", "not-satisfied"]},
                                            reason={"enum": ["pass", "fail", "other"]},
                                        ),
                                    },
                                ),
                            )
                        ),
                        observations=many(
                            thing(
                                "uuid description methods collected",
                                uuid=UUID, description=LINES, collected=TIME, props=PROPS,
                                methods=many({"enum": ["EXAMINE", "INTERVIEW", "TEST", "UNKNOWN"]}),
                            )
                        ),
                        **{
                            "reviewed-controls": thing(
                                "control-selections",
                                **{
                                    "control-selections": many(
                                        thing("", **{"include-controls": many(thing("control-id", **{"control-id": TOKEN}))})
                                    )
                                },
                            )
                        },
                    ),
                    "additionalProperties": True,
                }
            ),
        )
    },
)  # fmt: skip
SARIF = thing(
    "$schema version runs",
    version={"const": "2.1.0"},
    runs=many(
        thing(
            "tool results",
            tool=thing("driver", driver=thing("name rules", rules=many(thing("id", helpUri={"format": "uri"})))),
            results=many(
                thing(
                    "ruleId ruleIndex kind level message",
                    kind={"enum": ["pass", "fail", "open", "notApplicable", "review", "informational"]},
                    level={"enum": ["none", "note", "warning", "error"]},
                    message=thing("text", text={"type": "string", "minLength": 1}),
                    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
                )
            ),
        )
    ),
)


@pytest.fixture(scope="module")
def proof() -> Proof:
    """One of everything: held, failed demands and advice, not shown, not applicable, and names of ill will."""
    items = {k: v for k, v in good_items().items() if k != "write_results"}
    items["flavors"] = [f for f in items["flavors"] if f["name"] not in ("SCS-1V-4", "SCS-16V-128")]
    items["flavors"].append(flavor("SCS-<2V>&\x00\x1b[31m\n\ufffe", 2, 4096, 0))
    items["images"] = [i for i in items["images"] if "capi" not in i["name"]]
    found = prove(inventory(items, volume_types=Status.FORBIDDEN), Question(version="v5.1", at=NOW))
    assert {c.outcome for c in found.cases} == set(CaseOutcome)
    return found


def test_junit(proof: Proof) -> None:
    root = ElementTree.fromstring(exports.junit(output.document([proof])))  # noqa: S314 - our own bytes
    (suite,) = root
    tags = {case.get("name"): [child.tag for child in case] for case in suite}
    assert len(tags) == len(proof.cases)
    for case in proof.cases:
        if case.outcome is HELD:
            assert tags[case.case] == []
        elif counts_as_failed(case):
            assert tags[case.case] == ["failure"]
        elif case.outcome is NOT_SHOWN and case.level is Level.MUST and not case.manual:
            assert tags[case.case] == ["error"]
        else:
            assert tags[case.case] == ["skipped"]
    counted = Counter(tag for found in tags.values() for tag in found)
    told = {key: int(suite.get(key, "")) for key in ("failures", "errors", "skipped")}
    assert told == {"failures": counted["failure"], "errors": counted["error"], "skipped": counted["skipped"]}
    assert told["failures"] >= 2
    assert told["errors"] >= 4


@pytest.mark.thorough
def test_sarif(proof: Proof) -> None:
    told = json.loads(json.dumps(exports.sarif(output.document([proof, proof]))))
    jsonschema.validate(told, SARIF)
    assert len(told["runs"]) == 2
    run = told["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["level"] == "none") == (result["kind"] != "fail")  # SARIF 2.1.0, 3.27.10
    kinds = {r["ruleId"]: r["kind"] for r in run["results"]}
    words = {HELD: "pass", FAILED: "fail", NOT_SHOWN: "open", NOT_APPLICABLE: "notApplicable"}
    assert kinds == {c.case: words[c.outcome] for c in proof.cases}
    prints = [json.dumps(r["partialFingerprints"]) + r["ruleId"] for r in run["results"]]
    assert len(prints) == len(set(prints))


@pytest.mark.thorough
def test_oscal(proof: Proof) -> None:
    told = json.loads(json.dumps(exports.oscal(output.document([proof]))))
    jsonschema.validate(told, OSCAL)
    (result,) = told["assessment-results"]["results"]
    ids = [x["uuid"] for key in ("observations", "findings") for x in result[key]]
    assert len(ids) == len(set(ids))
    known = {o["uuid"] for o in result["observations"]}
    for finding in result["findings"]:
        assert {r["observation-uuid"] for r in finding.get("related-observations", ())} <= known
    states = {f["target"]["target-id"]: f["target"]["status"] for f in result["findings"]}
    for case in proof.cases:
        if case.outcome is HELD:
            assert states[case.case] == {"state": "satisfied", "reason": "pass"}
        elif case.outcome is not NOT_APPLICABLE:
            assert states[case.case]["state"] == "not-satisfied"


def test_oscal_says_when_and_what_cloud(proof: Proof) -> None:
    (result,) = exports.oscal(output.document([proof]))["assessment-results"]["results"]
    told = {p["name"]: p["value"] for p in result["props"]}
    assert told["auth-url"] == proof.inventory.subject.auth_url
    assert told["inventory-digest"] == proof.inventory.digest()
    assert datetime.fromisoformat(result["start"]) == proof.inventory.collected_at


def test_the_scs_report_is_what_the_monitor_reads(proof: Proof) -> None:
    told = yaml.safe_load(yaml.safe_dump(output.scs_report(proof), sort_keys=False, allow_unicode=True))
    assert told["spec"]["uuid"] == "50393e6f-2ae1-4c5c-a62c-3b75f2abef3f"
    assert isinstance(told["checked_at"], datetime)
    assert told["checked_at"].tzinfo is None
    assert told["subject"] == "good"
    (invocation,) = told["run"]["invocations"].values()
    results = invocation["results"]
    words = {HELD: 1, NOT_APPLICABLE: 1, NOT_SHOWN: 0, FAILED: -1}
    assert results == {c.case: words[c.outcome] for c in proof.report.cases if not (c.own or c.manual)}
    verdicts = dict(line.rsplit(": ", 1) for line in invocation["stdout"])
    assert verdicts == {case: {1: "PASS", 0: "ABORT", -1: "FAIL"}[n] for case, n in results.items()}
    assert invocation["error"] == len(invocation["stderr"])


@pytest.mark.thorough
def test_the_same_proof_gives_the_same_documents(proof: Proof) -> None:
    assert exports.oscal(output.document([proof])) == exports.oscal(output.document([proof]))
    assert output.scs_report(proof) == output.scs_report(proof)


@pytest.mark.thorough
def test_another_question_is_another_report(proof: Proof) -> None:
    """The monitor refuses a second report of the same id."""
    other = prove(proof.inventory, Question(version="next", at=NOW))
    assert output.scs_report(other)["run"]["uuid"] != output.scs_report(proof)["run"]["uuid"]


def test_no_secret_has_a_place(proof: Proof) -> None:
    """What stands in the outputs comes from verdicts and the subject; requests have neither headers nor bodies."""
    assert set(proof.inventory.requests[0].model_dump()) == {
        "id", "service", "method", "path", "status", "digest", "bytes", "microversion", "began", "seconds", "error",
    }  # fmt: skip
