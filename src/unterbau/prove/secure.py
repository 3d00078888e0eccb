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
from unterbau.verdict import Reason, Words, joined

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

Faults = Iterator[tuple[Words, Words, Words] | None]
"""Of one probe, as (observed, required, mend); None: it could not be looked at."""
Look = Callable[[TlsProbe, datetime], Faults]


def judge(inventory: Inventory, at: datetime) -> tuple[CaseVerdict, ...]:
    """The verdicts of the group, in the order of `CASES`."""
    return tuple(_case(id_, title, level, look, inventory.tls, at) for id_, title, level, look in CASES)


def _case(id_: str, title: str, level: Level, look: Look, probes: Iterable[TlsProbe], at: datetime) -> CaseVerdict:
    findings: list[Finding] = []
    blind: list[Words] = []
    reason: Words
    seen = 0
    for probe in probes:
        if probe.status is not Status.SEEN:
            blind.append(Reason.of("about", what=probe.url, reason=probe.reason or probe.status.value))
            continue
        if probe.plain and id_ != "tls-everywhere":
            continue
        faults = list(look(probe, at))
        if None in faults:
            why = probe.trust_error or Reason.of("prove.tls.not-asked")
            blind.append(Reason.of("about", what=probe.url, reason=why))
        else:
            seen += 1
        findings += [
            Finding(object=f"{probe.service} {probe.url}", observed=f[0], required=f[1], clause=CLAUSE, mend=f[2])
            for f in faults
            if f is not None
        ]
    if findings:
        outcome = CaseOutcome.FAILED
        reason = Reason.of("about", what=findings[0].object, reason=findings[0].observed)
    elif blind or not seen:
        outcome, reason = CaseOutcome.NOT_SHOWN, joined(blind[:3]) or Reason.of("prove.tls.none")
    else:
        outcome, reason = CaseOutcome.HELD, Reason.of("prove.tls.endpoints", count=seen)
    return CaseVerdict(
        case=id_, title=title, standard=STANDARD, clause=CLAUSE, level=level, versions=(), own=True, outcome=outcome,
        reason=reason, looked_at=seen, findings=tuple(findings), sections=("tls",),
        note=Reason.of("prove.tls.draft"),
    )  # fmt: skip


def _everywhere(probe: TlsProbe, at: datetime) -> Faults:
    if probe.plain:
        yield (
            Reason.of("prove.tls.plain"),
            Reason.of("prove.tls.https"),
            Reason.of("prove.tls.put-tls"),
        )


def _protocols(probe: TlsProbe, at: datetime) -> Faults:
    for name in ("TLSv1", "TLSv1.1"):
        if probe.protocols.get(name):
            yield (
                Reason.of("prove.tls.accepts", what=name),
                Reason.of("prove.tls.only-new"),
                Reason.of("prove.tls.switch-off", version=name),
            )
        elif probe.protocols.get(name) is None:
            yield None
    if not probe.protocols.get("TLSv1.2") and not probe.protocols.get("TLSv1.3"):
        yield Reason.of("prove.tls.neither"), Reason.of("prove.tls.both"), Reason.of("prove.tls.switch-both-on")


def _modern(probe: TlsProbe, at: datetime) -> Faults:
    if probe.protocols.get("TLSv1.3") is None:
        yield None
    elif not probe.protocols["TLSv1.3"]:
        yield (
            Reason.of("prove.tls.no-newest"),
            Reason.of("prove.tls.offers-newest"),
            Reason.of("prove.tls.switch-on-newest"),
        )


def _ciphers(probe: TlsProbe, at: datetime) -> Faults:
    if not probe.ciphers or probe.ciphers_unasked:
        yield None
    others = [c for c in probe.ciphers if c not in INTERMEDIATE]
    if others:
        yield (
            Reason.of("prove.tls.accepts", what=others),
            Reason.of("prove.tls.only-ciphers", profile=PROFILE),
            Reason.of("prove.tls.set-ciphers"),
        )


def _trust(probe: TlsProbe, at: datetime) -> Faults:
    if probe.trusted is None:
        yield None
    elif not probe.trusted:
        yield (
            Reason.of("prove.tls.untrusted", why=probe.trust_error),
            Reason.of("prove.tls.trusted"),
            Reason.of("prove.tls.install"),
        )


def _dates(probe: TlsProbe, at: datetime) -> Faults:
    if not probe.chain:
        yield None
        return
    for certificate in probe.chain:
        end = f"{certificate.not_after:%Y-%m-%d}"
        if not certificate.not_before <= at <= certificate.not_after:
            yield (
                Reason.of("prove.tls.valid-from-to", begin=f"{certificate.not_before:%Y-%m-%d}", end=end),
                Reason.of("prove.tls.valid-on", day=f"{at:%Y-%m-%d}"),
                Reason.of("prove.tls.renew"),
            )
        elif certificate is probe.chain[0] and certificate.not_after - at < SOON:
            yield (
                Reason.of("prove.tls.ends", day=end),
                Reason.of("prove.tls.longer", days=SOON.days),
                Reason.of("prove.tls.automate"),
            )


def _life(probe: TlsProbe, at: datetime) -> Faults:
    if not probe.chain:
        yield None
        return
    life = probe.chain[0].not_after - probe.chain[0].not_before
    if life > LONGEST_LIFE:
        yield (
            Reason.of("prove.tls.life", days=life.days),
            Reason.of("prove.tls.longest-life", days=LONGEST_LIFE.days),
            Reason.of("prove.tls.shorter"),
        )


def _key(probe: TlsProbe, at: datetime) -> Faults:
    if not probe.chain:
        yield None
        return
    own = probe.chain[0]
    kind, _, size = own.key.partition(" ")
    if kind == "RSA" and int(size or 0) < 2048:
        yield Reason.of("prove.tls.key", key=own.key), Reason.of("prove.tls.strong-key"), Reason.of("prove.tls.new-key")
    if any(weak in own.signature.lower() for weak in WEAK_SIGNATURES):
        yield (
            Reason.of("prove.tls.signed", by=own.signature),
            Reason.of("prove.tls.strong-signature"),
            Reason.of("prove.tls.sign-anew"),
        )


def _hsts(probe: TlsProbe, at: datetime) -> Faults:
    told, required = probe.hsts, Reason.of("prove.tls.max-age", seconds=str(HSTS_SECONDS))
    ages = [p.partition("=")[2].strip('" ') for p in (told or "").split(";") if p.strip().lower().startswith("max-age")]
    if told is None:
        yield Reason.of("prove.tls.no-hsts"), required, Reason.of("prove.tls.send-hsts")
    elif not ages or not ages[0].isdigit() or int(ages[0]) < HSTS_SECONDS:
        header = Reason.of("about", what="Strict-Transport-Security", reason=told[:80])
        yield header, required, Reason.of("prove.tls.raise-max-age")


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
