# SPDX-License-Identifier: Apache-2.0
"""A drill's bundle for auditors: without names, addresses, ids and hashes, and judged by the same check. `cli` calls it.

In the place of each stands a digest with a salt: the same name the same digest, so that what was equal is equal and what
differed differs; addresses keep which network they lie in. The verdicts are made anew from what is left; those that come
out otherwise without the names are withheld, and *not shown*. That the original says the same, only who has it and the
salt can show, by redacting it once more. The salt and the time are arguments; manifests are sorted anew in a folder for the moment.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import ipaddress
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from unterbau import canonical, files
from unterbau.errors import Refused
from unterbau.evidence.keys import Signer
from unterbau.evidence.long import Long
from unterbau.evidence.opening import Opened
from unterbau.saga.status import Event
from unterbau.switch import temporaries
from unterbau.switch.evidence.bundle import (
    NOT_TESTED,
    Bundle,
    Redaction,
    check_opened,
    seal_into,
    spelled_census,
    spelled_plan,
)
from unterbau.switch.manifest import Line, Manifest, put_in_order
from unterbau.switch.plan import Plan
from unterbau.switch.verify import OF_ANSWERS, OPENINGS, PROBES, Contents, compare, lost, observed
from unterbau.tenant.kinds import Kind, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Observation, Reason, Verdict, Words

KEPT = frozenset({
    "kind", "schema", "status", "direction", "ethertype", "protocol", "disk_format", "container_format", "visibility",
    "policy", "type", "secret_type", "fate", "vnic_type", "hash_algo", "ipv6_address_mode", "ipv6_ra_mode", "algorithm",
    "mode", "field", "disk_config", "guests", "resource", "service", "network_extensions", "object_features", "services", "run",
    "taken_at", "made_at", "created_at", "updated_at", "last_modified", "delete_at", "expiration", "started", "ended",
})  # fmt: skip
"""Fields whose words are the API's, ours, or times: no tenant chooses them."""
REFS, ACLS = frozenset({"ref", "needs", "what", "cut_over"}), frozenset({"read_acl", "write_acl"})
SAID = frozenset({"why", "remedy", "reason", "text"})
BY_USERS = frozenset({"metadata", "properties", "image_metadata", "extra_specs"})
"""Fields that are tables whose keys a user chooses."""
COMMON = frozenset({"", "default"})
"""Words that say nothing: every project has a group `default`."""
OF_ACLS = COMMON | {".r", "*", ".rlistings"}
OF_TRANSLATIONS = frozenset({
    "external_network", "flavor", "volume_type", "image", "project", "zone", "compute", "volume", "network",
})  # fmt: skip
_KINDS = frozenset(kind.value for kind in Kind)
_STEP = re.compile(r"((?:[a-z]+ )*)([a-z_]+):(.*)", re.DOTALL)
SALT_BYTES = 32


def redact(opened: Opened, salt: bytes, signer: Signer, now: datetime) -> bytes:
    """The redacted bundle as bytes; see `redact_into`."""
    out = io.BytesIO()
    redact_into(out, opened, salt, signer, now)
    return out.getvalue()


def redact_into(out: BinaryIO, opened: Opened, salt: bytes, signer: Signer, now: datetime) -> None:
    """Write the redacted bundle, signed by who redacts.

    Raises BundleError for a bundle that does not check, Refused for one twice.
    """
    with files.passing("redact") as work:
        seal_into(out, _redacted(opened, salt, now, work), signer)


def _redacted(opened: Opened, salt: bytes, now: datetime, work: Path) -> Bundle:
    """`work`: a folder for its manifests."""
    checked = check_opened(opened)
    bundle = checked.bundle
    if bundle.redaction is not None:
        raise Refused("the bundle is redacted already", "Redact the original.")
    mask = _Mask(salt)
    sides = {name: _workload(mask, model) for name, model in (("source", bundle.source), ("target", bundle.target))}
    told = bundle.verification
    kept = {OPENINGS: not bundle.plan.openings, **dict.fromkeys(OF_ANSWERS, False)}
    judging = tuple(j for j in told.judging if kept.get(j, True))
    source, target = _workload(mask, told.source), _workload(mask, told.target)
    plan = _plan(mask, bundle.plan).model_copy(
        update={"source_census": canonical.digest_bytes(spelled_census(sides["source"]))}
    )
    hashes = observed(told.verdicts)
    before = compare(
        told.source, told.target, bundle.plan, hashes, judging, temporary=temporaries.markers(bundle.plan),
        manifests=bundle.manifests,
    )  # fmt: skip
    held = {side: _held(mask, manifest, work / side) for side, manifest in bundle.manifests.items()}
    masked = {(side, mask.what(ref)): _observation(mask, side, ref, seen) for (side, ref), seen in hashes.items()}
    after = compare(
        source, target, plan, masked, judging, temporary=temporaries.markers(plan),
        manifests={side: Manifest.read(text.open) for side, text in held.items()},
    )  # fmt: skip
    if len(before) != len(after):
        raise Refused("without the names other claims would be judged", "Give the auditor the original.")
    judged = {v.claim.id: v.outcome for v in told.verdicts}
    withheld = [
        a.claim.id for b, a in _pairs(mask, bundle, before, after)
        if b.outcome is not a.outcome or judged.get(b.claim.id, b.outcome) is not b.outcome
    ]  # fmt: skip
    return Bundle(
        source=sides["source"],
        target=sides["target"],
        plan=plan,
        journal=_journal(mask, bundle, plan),
        chain=canonical.CHAIN,
        verification=Contents(
            source=source, target=target, verdicts=after, started=told.started, ended=told.ended, judging=judging,
            left_behind=tuple(mask.word(one) for one in told.left_behind),
            stamps={f"{at.partition(' ')[0]} {mask.ref(at.partition(' ')[2])}": when for at, when in told.stamps.items()},
        ),
        context=bundle.context.model_copy(
            update={"command": "", "sealed": now, "not_tested": NOT_TESTED}
        ),
        closed=_workload(mask, bundle.closed) if bundle.closed else None,
        held=held,
        redaction=Redaction(
            original=opened.digest, signer=checked.signer, sealed=bundle.context.sealed,
            outcome=checked.outcome, commitment=commitment(salt), withheld=tuple(withheld),
            openings=(OPENINGS in judging) == (OPENINGS in told.judging), probes=PROBES not in told.judging, closing=bundle.closing is None,
        ),
    )  # fmt: skip


def commitment(salt: bytes) -> str:
    """What binds a redacted bundle to its salt and does not tell it."""
    return canonical.digest_bytes(b"unterbau redaction\0" + salt)


class _Mask:
    """The digests of one salt."""

    def __init__(self, salt: bytes) -> None:
        self.salt = salt
        self._bit = cache(self._flip)

    def _digest(self, text: str) -> bytes:
        return hmac.new(self.salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def word(self, word: str, common: frozenset[str] = COMMON) -> str:
        """The digest of one name, unless it says nothing."""
        return word if word in common else self._address(word) or "x" + self._digest("word " + word).hex()[:20]

    def text(self, text: str, common: frozenset[str] = COMMON) -> str:
        """Names with `/`, `:` and `,` between them, each by itself: a path stays a path."""
        found = self._address(text)
        return found or "".join(
            one if one in "/:," else self.word(one, common) for one in re.split(r"([/:,])", text) if one
        )

    def ref(self, reference: str) -> str:
        """A Ref keeps its kind."""
        kind, colon, rest = reference.partition(":")
        return f"{kind}:{self.text(rest)}" if colon and kind in _KINDS else self.text(reference)

    def what(self, what: str) -> str:
        """A Ref, a Ref or kind with a field, a kind, a service."""
        head, dot, field = what.rpartition(".")
        if ":" not in what:
            return what if re.fullmatch(r"[a-z][a-z0-9_. -]*", what) else self.word(what)
        if dot and re.fullmatch(r"[a-z_]+", field) and not what.startswith(("object:", "container:")):
            return f"{self.ref(head)}.{field}"
        return self.ref(what)

    def step(self, name: str) -> str:
        """A step of the move: words of ours, then a Ref."""
        found = _STEP.fullmatch(name)
        if found and found[2].rpartition(" ")[2] in _KINDS:
            return f"{found[1]}{found[2]}:{self.text(found[3])}"
        return self.word(name)

    def said(self, told: Any) -> Any:
        """A reason keeps its id and numbers; a sentence is withheld."""
        if isinstance(told, dict):
            return {"id": str(told.get("id", "")), "values": self._values(told.get("values", {}))}
        return self.word(str(told))

    def _values(self, value: Any) -> Any:
        match value:
            case {"id": str(), "values": dict()}:
                return self.said(value)
            case dict():
                return {key: self._values(one) for key, one in value.items()}
            case list():
                return [self._values(one) for one in value]
            case str():
                return self.word(value)
        return value

    def plain(self, value: Any, field: str = "") -> Any:
        """Plain data of a model, by the names of its fields."""
        match value:
            case dict() if field in BY_USERS:
                return {self.text(key): self.plain(one, field + " of users") for key, one in value.items()}
            case dict() if field in SAID:
                return self.said(value)
            case dict() if field == "translate":
                return {self.text(key, COMMON | OF_TRANSLATIONS): self.text(one) for key, one in value.items()}
            case dict() if field == "services":
                return value
            case dict():
                return {name: self.plain(one, name) for name, one in value.items()}
            case list():
                return [self.plain(one, field) for one in value]
            case str():
                return self._string(value, field)
        return value

    def _string(self, text: str, field: str) -> str:
        if field in KEPT:
            return text
        if field in REFS:
            return self.what(text)
        if field in ACLS:
            return self.text(text, OF_ACLS)
        if field in SAID:
            return self.word(text)
        if field == "device_owner" and text.startswith(("network:", "compute:")):
            return text if text.startswith("network:") else f"compute:{self.text(text.partition(':')[2])}"
        return self.text(text)

    # --- addresses

    def _address(self, text: str) -> str:
        """An address or network with as much of it in common with others as it had; "" for what is none."""
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return ""
        address, slash, length = text.partition("/")
        whole = ipaddress.ip_address(address)
        bits = network.prefixlen if slash and whole == network.network_address else network.max_prefixlen
        number, width, found = int(whole), network.max_prefixlen, 0
        for at in range(bits):
            bit = number >> (width - 1 - at) & 1
            found |= (bit ^ self._bit(network.version, at, number >> (width - at))) << (width - 1 - at)
        return f"{type(whole)(found)}{slash}{length}"

    def _flip(self, version: int, at: int, before: int) -> int:
        return self._digest(f"address {version} {at} {before}")[0] & 1


def _workload(mask: _Mask, workload: Workload) -> Workload:
    return Workload.model_validate(mask.plain(workload.model_dump(mode="json")))


def _plan(mask: _Mask, plan: Plan) -> Plan:
    plain = plan.model_dump(
        mode="json", exclude={"checks", "remarks", "openings", "allowed_openings", "choices", "probes", "helper"}
    )
    masked: dict[str, Any] = mask.plain(plain)
    for entry, old in zip(masked["entries"], plain["entries"], strict=True):
        for change, was in zip(entry["changes"], old["changes"], strict=True):
            change |= {name: mask.plain(was[name], was["field"]) for name in ("was", "to")}
        for loss, was in zip(entry.get("losses", ()), old.get("losses", ()), strict=True):
            loss["id"] = f"{mask.ref(was['id'].removesuffix('.' + was['field']))}.{was['field']}"
    return Plan.model_validate(masked)


def _pairs(
    mask: _Mask, bundle: Bundle, before: Iterable[Verdict], after: Iterable[Verdict]
) -> Iterator[tuple[Verdict, Verdict]]:
    """Each verdict with the one that is made of it without names; those on crowded containers stand in another order there."""
    boxes = {name for manifest in bundle.manifests.values() for name in manifest.names}
    held = {ref(Kind.CONTAINER, name) for name in boxes}
    masked = {mask.ref(one) for one in held}
    there = {v.claim.subject: v for v in after if v.claim.kind == "content" and v.claim.subject in masked}
    for verdict in before:
        if verdict.claim.kind == "content" and verdict.claim.subject in held:
            yield verdict, there[mask.ref(verdict.claim.subject)]
    rest = (
        [v for v in told if not _of_boxes(v, names)]
        for told, names in ((before, boxes), (after, {mask.text(n) for n in boxes}))
    )
    yield from zip(*rest, strict=True)


def _of_boxes(verdict: Verdict, boxes: Container[str]) -> bool:
    """Whether it is on what one of these containers holds, or on a loss of an object in it."""
    kind, _, rest = verdict.claim.subject.partition(":")
    if verdict.claim.kind == "content":
        return kind == Kind.CONTAINER.value and rest in boxes
    return verdict.claim.kind == lost.KIND and kind == Kind.OBJECT.value and rest.partition("/")[0] in boxes


def _held(mask: _Mask, manifest: Manifest, work: Path) -> Long:
    """A manifest without names, in the order of what stands in their place."""
    work.mkdir()
    with (work / "held").open("wb") as file:
        masked = ((mask.text(name), (_line(mask, line) for line in lines)) for name, lines in manifest.containers())
        put_in_order(file, masked, work)
    return Long.at(work / "held")


def _line(mask: _Mask, line: Line) -> Line:
    plain = mask.plain({k: v for k, v in line.plain.items() if k not in ("sha256", "unread")})
    own = {"sha256": mask.word(line.sha256)} if line.sha256 else {}
    told = {"unread": mask.said(line.plain["unread"])} if "unread" in line.plain else {}
    return Line(mask.text(line.container), {**plain, **own, **told})


def _observation(mask: _Mask, side: str, ref: str, seen: Observation) -> Observation:
    value = mask.word(seen.value) if isinstance(seen.value, str) else seen.value
    where = seen.source.model_copy(update={"where": f"{side}: {mask.what(ref)}"})
    return seen.model_copy(update={"value": value, "source": where, "reason": _words(mask, seen.reason)})


def _words(mask: _Mask, told: Words) -> Words:
    if isinstance(told, Reason):
        return Reason.model_validate(mask.said(told.model_dump(mode="json")))
    return mask.word(told)


def _journal(mask: _Mask, bundle: Bundle, plan: Plan) -> tuple[dict[str, Any], ...]:
    """The same events at the same times, about the same steps, without what they say; a chain of their own."""
    rows: list[dict[str, Any]] = []
    before = canonical.GENESIS
    for number, row in enumerate(bundle.journal, start=1):
        old: Mapping[str, Any] = row["event"]  # type: ignore[assignment]  # it was checked
        data: dict[str, Any] = {}
        if old["kind"] == "opened":
            nodes = old["data"]["nodes"]
            data = {
                "plan": canonical.digest_bytes(spelled_plan(plan)),
                "nodes": {mask.step(n): [mask.step(one) for one in needs] for n, needs in nodes.items()},
            }
        event = Event(kind=old["kind"], node=mask.step(old["node"]), data=data).model_dump(mode="json")
        at = str(row["at"])
        digest = canonical.chained(canonical.CHAIN, before, number, at, event)
        rows.append({"seq": number, "at": at, "event": event, "prev": before, "hash": digest})
        before = digest
    return tuple(json.loads(json.dumps(rows)))
