# SPDX-License-Identifier: Apache-2.0
"""Secure communication: what was seen of the endpoints' TLS, against scs-0125 (a draft). Pure: time is an argument.

A test group of its own, in no scope yet. scs-0125 asks for the "intermediate" profile of Mozilla's Server Side TLS
guidelines (version 5.7) on all endpoints; https://wiki.mozilla.org/Security/Server_Side_TLS has its figures.
`handshake` made the facts; what nobody could ask is *not shown*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from unterbau.prove.inventory import Inventory, Status, TlsProbe
from unterbau.prove.verdicts import CaseOutcome, CaseVerdict, Finding, Level

STANDARD = "scs-0125-v1"
CLAUSE = "https://docs.scs.community/standards/scs-0125-v1-secure-connections"
PROFILE = "https://wiki.mozilla.org/Security/Server_Side_TLS"
INTERMEDIATE = frozenset({
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
})  # fmt: skip
LONGEST_LIFE = timedelta(days=366)
HSTS_SECONDS = 63_072_000
SOON = timedelta(days=14)
WEAK_SIGNATURES = ("md5", "sha1")

Look = Callable[[TlsProbe, datetime], Iterator[tuple[str, str, str] | None]]
"""Faults of one probe as (observed, required, mend); None: it could not be looked at."""


def judge(inventory: Inventory, at: datetime) -> tuple[CaseVerdict, ...]:
    """The verdicts of the group, in the order of `CASES`."""
    return tuple(_case(id_, title, level, look, inventory.tls, at) for id_, title, level, look in CASES)


def _case(id_: str, title: str, level: Level, look: Look, probes: Iterable[TlsProbe], at: datetime) -> CaseVerdict:
    findings: list[Finding] = []
    blind: list[str] = []
    seen = 0
    for probe in probes:
        if probe.status is not Status.SEEN:
            blind.append(f"{probe.url}: {probe.reason or probe.status}")
            continue
        if probe.plain and id_ != "tls-everywhere":
            continue
        faults = list(look(probe, at))
        if None in faults:
            blind.append(f"{probe.url}: {probe.trust_error or 'this machine could not ask'}")
        else:
            seen += 1
        findings += [
            Finding(object=f"{probe.service} {probe.url}", observed=f[0], required=f[1], clause=CLAUSE, mend=f[2])
            for f in faults
            if f is not None
        ]
    if findings:
        outcome, reason = CaseOutcome.FAILED, f"{findings[0].object}: {findings[0].observed}"
    elif blind or not seen:
        outcome, reason = CaseOutcome.NOT_SHOWN, "; ".join(blind[:3]) or "no endpoint was spoken to over TLS"
    else:
        outcome, reason = CaseOutcome.HELD, f"{seen} endpoints"
    return CaseVerdict(
        case=id_, title=title, standard=STANDARD, clause=CLAUSE, level=level, versions=(), own=True, outcome=outcome,
        reason=reason, looked_at=seen, findings=tuple(findings), sections=("tls",),
        note="scs-0125 is a draft; no version of a scope demands it yet",
    )  # fmt: skip


def _everywhere(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if probe.plain:
        yield (
            "the catalog names a plain-text address",
            "https on every endpoint",
            "Put TLS before it; name https in the catalog.",
        )


def _protocols(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    for name in ("TLSv1", "TLSv1.1"):
        if probe.protocols.get(name):
            yield f"accepts {name}", "TLS 1.2 and 1.3 only", f"Switch {name} off."
        elif probe.protocols.get(name) is None:
            yield None
    if not probe.protocols.get("TLSv1.2") and not probe.protocols.get("TLSv1.3"):
        yield "accepts neither TLS 1.2 nor 1.3", "TLS 1.2 and 1.3", "Switch both on."


def _modern(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if probe.protocols.get("TLSv1.3") is None:
        yield None
    elif not probe.protocols["TLSv1.3"]:
        yield "does not accept TLS 1.3", "TLS 1.3 is offered", "Switch TLS 1.3 on."


def _ciphers(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if not probe.ciphers or probe.ciphers_unasked:
        yield None
    others = [c for c in probe.ciphers if c not in INTERMEDIATE]
    if others:
        yield (
            f"accepts {', '.join(others)}",
            f"only ciphers of the profile ({PROFILE})",
            "Set the cipher list of the profile.",
        )


def _trust(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if probe.trusted is None:
        yield None
    elif not probe.trusted:
        yield (
            f"the certificate does not verify: {probe.trust_error}",
            "a chain that verifies, for the name in the catalog",
            "Install a certificate of a trusted authority with its chain.",
        )


def _dates(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if not probe.chain:
        yield None
        return
    for certificate in probe.chain:
        end = f"{certificate.not_after:%Y-%m-%d}"
        if not certificate.not_before <= at <= certificate.not_after:
            valid = f"valid from {certificate.not_before:%Y-%m-%d} to {end}"
            yield valid, f"valid on {at:%Y-%m-%d}", "Renew the certificate."
        elif certificate is probe.chain[0] and certificate.not_after - at < SOON:
            yield f"ends on {end}", f"valid for {SOON.days} more days", "Renew it now, and automate that."


def _life(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if not probe.chain:
        yield None
        return
    life = probe.chain[0].not_after - probe.chain[0].not_before
    if life > LONGEST_LIFE:
        yield f"valid for {life.days} days in all", f"at most {LONGEST_LIFE.days} days", "Issue it for a shorter time."


def _key(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    if not probe.chain:
        yield None
        return
    own = probe.chain[0]
    kind, _, size = own.key.partition(" ")
    if kind == "RSA" and int(size or 0) < 2048:
        yield f"key {own.key}", "RSA of at least 2048 bits, or ECDSA P-256", "Make a new key."
    if any(weak in own.signature.lower() for weak in WEAK_SIGNATURES):
        yield f"signed with {own.signature}", "SHA-256 or better", "Have it signed anew."


def _hsts(probe: TlsProbe, at: datetime) -> Iterator[tuple[str, str, str] | None]:
    told = probe.hsts
    ages = [p.partition("=")[2].strip('" ') for p in (told or "").split(";") if p.strip().lower().startswith("max-age")]
    if told is None:
        yield "sends no Strict-Transport-Security", f"max-age of at least {HSTS_SECONDS}", "Send the header."
    elif not ages or not ages[0].isdigit() or int(ages[0]) < HSTS_SECONDS:
        yield f"Strict-Transport-Security: {told[:80]}", f"max-age of at least {HSTS_SECONDS}", "Raise max-age."


CASES: tuple[tuple[str, str, Level, Look], ...] = (
    ("tls-everywhere", "No endpoint of the catalog is plain text", Level.MUST, _everywhere),
    ("tls-protocols", "No endpoint accepts TLS 1.0 or 1.1", Level.MUST, _protocols),
    ("tls-ciphers", "Every endpoint accepts only ciphers of the intermediate profile", Level.MUST, _ciphers),
    ("tls-trust", "Every certificate verifies for the name in the catalog", Level.MUST, _trust),
    ("tls-dates", "Every certificate is valid, and will be for two weeks", Level.MUST, _dates),
    ("tls-key", "Keys and signatures are strong", Level.MUST, _key),
    ("tls-1.3", "Every endpoint offers TLS 1.3", Level.SHOULD, _modern),
    ("tls-lifespan", "No certificate is valid for more than a year in all", Level.SHOULD, _life),
    ("tls-hsts", "Every endpoint sends Strict-Transport-Security for two years", Level.SHOULD, _hsts),
)
