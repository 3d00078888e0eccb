# SPDX-License-Identifier: Apache-2.0
"""A bundle: one file that says what a drill saw, and can be judged again by somebody who trusts nobody.

`drill` seals one; `evidence check` opens it on any machine. The check believes no verdict: it recomputes all
of them from the censuses, the plan and the hashes in the bundle. Who may lie about what is written in
docs/design/evidence-threat-model.md. Needs pydantic and securesystemslib, and no cloud.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import BaseModel, Field, JsonValue, ValidationError
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import canonical, census
from unterbau.errors import BundleError, Failed, PlanError
from unterbau.evidence.core import NOT_OURS, STATEMENT, check_chain, sign, verify
from unterbau.plan import Plan
from unterbau.verdict import Model, Observation, Outcome, Verdict, conjoin
from unterbau.verify import Contents, compare
from unterbau.workload import Ref, Workload

LARGEST_MEMBER = 512 * 2**20
_EPOCH = (2020, 1, 1, 0, 0, 0)

NOT_TESTED = (
    "Contracts, notice periods and prices of either provider.",
    "People: whether somebody who knows the application could run it on the target.",
    "Licences that are bound to a provider, a host or an address.",
    "DNS: public addresses change, and nobody was told.",
    "Load: whether the target carries the application's traffic.",
    "The inside of the servers: no guest was logged into.",
    "Local disks of servers that did not boot from a volume: they cannot be read with tenant rights.",
    "user_data of servers: it cannot be read with tenant rights.",
    "Writes to the source after the census: stop the application before a real switch.",
)


class PhaseTime(Model):
    """When a phase ran (UTC)."""

    name: str
    started: datetime
    ended: datetime


class Context(Model):
    """The circumstances of a drill."""

    run: str
    command: str
    rehearsal: bool
    sealed: datetime
    versions: dict[str, str]
    phases: tuple[PhaseTime, ...] = ()
    not_tested: tuple[str, ...] = NOT_TESTED


class Bundle(Model):
    """Everything in a bundle. `closed` is the target after the clean-up of a rehearsal."""

    source: Workload
    target: Workload
    plan: Plan
    journal: tuple[dict[str, JsonValue], ...]
    verification: Contents
    context: Context
    closed: Workload | None = None

    def members(self) -> dict[str, bytes]:
        """File name -> bytes."""
        found: dict[str, bytes] = {
            "source-census.json": _json(self.source),
            "target-census.json": _json(self.target),
            "plan.json": _json(self.plan),
            "journal.json": json.dumps(self.journal, indent=1, ensure_ascii=False).encode(),
            "verification.json": _json(self.verification),
            "context.json": _json(self.context),
        }
        return found if self.closed is None else {**found, "target-census-closed.json": _json(self.closed)}


class CheckResult(Model):
    """What a check found. `verdicts` were recomputed, not read."""

    bundle: Bundle = Field(exclude=True)
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""


def seal(bundle: Bundle, signer: CryptoSigner, *, secrets: Iterable[str] = ()) -> bytes:
    """The bundle as bytes. Raises Failed if one of the known secrets stands in it (law 8)."""
    members = bundle.members()
    for secret in secrets:
        spelled = [secret.encode(), json.dumps(secret)[1:-1].encode()]
        found = [n for n, data in members.items() if len(secret) > 5 and any(s in data for s in spelled)]
        if found:
            raise Failed(
                f"{', '.join(found)} holds a secret; nothing was sealed", "This is a defect: please report it."
            )
    statement = sign(members, _predicate(bundle), signer)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*sorted(members.items()), (STATEMENT, statement)]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


def check(data: bytes, *, trusted_key: str | None = None) -> CheckResult:
    """Judge a bundle. `trusted_key` is the id of the key that must have signed it.

    Raises BundleError for anything that is not as it was sealed, or that contradicts itself.
    """
    members = _open(data)
    statement = members.pop(STATEMENT, None)
    if statement is None:
        raise BundleError(f"{STATEMENT} is missing", NOT_OURS)
    predicate, key = verify(statement, members)
    if trusted_key is not None and key.keyid != trusted_key:
        raise BundleError(
            f"signed by key {key.keyid}, not by {trusted_key}", "Ask whose key that is, or name the right one."
        )
    bundle = _bundle(members)
    if predicate != {"format": 1, **_predicate(bundle)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    verdicts = _judge_again(bundle)
    return CheckResult(
        bundle=bundle,
        verdicts=verdicts,
        outcome=conjoin(v.outcome for v in verdicts),
        signer=str(key.keyid),
        signer_trusted=trusted_key is not None,
    )


def _predicate(bundle: Bundle) -> dict[str, JsonValue]:
    """The summary: whose clouds, which outcomes (as lists of claims, never as a number of merit)."""
    verdicts = bundle.verification.verdicts
    by_outcome: dict[str, JsonValue] = {
        o.value: [v.claim.id for v in verdicts if v.outcome is o] for o in (Outcome.FAILED, Outcome.NOT_SHOWN)
    }
    return {
        "run": bundle.context.run,
        "sealed": bundle.context.sealed.isoformat(),
        "source": _json_object(bundle.source.identity),
        "target": _json_object(bundle.target.identity),
        "outcome": conjoin(v.outcome for v in verdicts).value,
        "claims": len(verdicts),
        **by_outcome,
    }


def _open(data: bytes) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.filename in members:
                    raise BundleError(f"{info.filename} stands twice in the bundle", NOT_OURS)
                if info.file_size > LARGEST_MEMBER:
                    raise BundleError(f"{info.filename} is larger than {LARGEST_MEMBER} bytes", NOT_OURS)
                with archive.open(info) as member:
                    members[info.filename] = member.read(LARGEST_MEMBER + 1)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BundleError(
            f"the file is truncated or no bundle ({error})", "Fetch it again; compare its size."
        ) from None
    return members


def _bundle(members: Mapping[str, bytes]) -> Bundle:
    names = {"source": "source-census.json", "target": "target-census.json", "plan": "plan.json"}
    names |= {"journal": "journal.json", "verification": "verification.json", "context": "context.json"}
    if "target-census-closed.json" in members:
        names["closed"] = "target-census-closed.json"
    for name in sorted(members.keys() ^ set(names.values())):
        raise BundleError(f"{name} is {'missing' if name not in members else 'not part of a bundle'}", NOT_OURS)
    try:
        return Bundle.model_validate({field: json.loads(members[name]) for field, name in names.items()})
    except (ValidationError, ValueError, RecursionError) as error:
        count = error.error_count() if isinstance(error, ValidationError) else 1
        raise BundleError(f"the contents do not fit the format ({count} faults)", NOT_OURS) from None


def _judge_again(bundle: Bundle) -> tuple[Verdict, ...]:
    """Every verdict anew, from censuses, plan and hashes; they must be those that the bundle tells."""
    _consistent(bundle)
    told = bundle.verification
    again = compare(told.source, told.target, bundle.plan, _hashes(told.verdicts))
    if again != told.verdicts:
        recomputed = {v.claim.id: v for v in again}
        wrong = [v.claim.id for v in told.verdicts if recomputed.get(v.claim.id) != v]
        wrong += [i for i in recomputed if i not in {v.claim.id for v in told.verdicts}]
        raise BundleError(
            f"verification.json: {', '.join(wrong[:3]) or 'the order'} does not follow from the contents", NOT_OURS
        )
    return again


def _hashes(verdicts: Iterable[Verdict]) -> dict[tuple[str, Ref], Observation]:
    """The hashes that were observed, by side and object (`source: volume:…` as their source says)."""
    found: dict[tuple[str, Ref], Observation] = {}
    for verdict in verdicts:
        if verdict.claim.kind == "content":
            for observation in verdict.evidence:
                side, _, reference = observation.source.where.partition(": ")
                found[side, reference] = observation
    return found


def _consistent(bundle: Bundle) -> None:
    """The members speak of the same clouds, the same plan, the same run."""
    check_chain(bundle.journal)
    plan, told = bundle.plan, bundle.verification
    pairs = (
        ("source", plan.source, bundle.source.identity), ("target", plan.target, bundle.target.identity),
        ("source", plan.source, told.source.identity), ("target", plan.target, told.target.identity),
    )  # fmt: skip
    for side, left, right in pairs:
        if (left.auth_url, left.region, left.project_id) != (right.auth_url, right.region, right.project_id):
            raise BundleError(f"the {side} is another cloud or project in different members", NOT_OURS)
    if plan.source_digest != census.digest(bundle.source):
        raise BundleError("plan.json was not made from source-census.json", NOT_OURS)
    opened = bundle.journal[0].get("event") if bundle.journal else None
    data = opened.get("data") if isinstance(opened, dict) else None
    if not isinstance(data, dict) or data.get("plan") != plan_digest(plan):
        raise BundleError("journal.json is of another plan", NOT_OURS)
    try:
        plan.check_against(bundle.source)
    except PlanError as error:
        raise BundleError(f"plan.json: {error.what}", NOT_OURS) from None


def plan_digest(plan: Plan) -> str:
    """What the journal of a run names its plan by."""
    return canonical.digest(plan.model_dump(mode="json"))


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json(indent=1).encode()


def _json_object(model: BaseModel) -> dict[str, JsonValue]:
    plain: dict[str, JsonValue] = model.model_dump(mode="json")
    return plain
