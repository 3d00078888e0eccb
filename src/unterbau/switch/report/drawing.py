# SPDX-License-Identifier: Apache-2.0
"""Drawings of the report, as inline SVG: the topology of one side, and the timeline of the steps. Pure.

Every name is escaped here; the template puts the result in as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from unterbau.face import printable
from unterbau.switch.probes.outage import Watched
from unterbau.tenant.kinds import (
    Attachment,
    FloatingIp,
    Kind,
    Network,
    Port,
    Ref,
    Router,
    RouterInterface,
    Server,
    Subnet,
    Volume,
    ref,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Reason, words

BAR, BOX, GAP = 46, 156, 14
WIDE = 5
"""So many boxes side by side fit on a page, on paper and on a screen."""
_MARKS = {"left": Reason.of("mark.left"), "changed": Reason.of("mark.changed"), "failed": Reason.of("mark.failed")}
"""What a mark of a thing is called; its name is also its CSS class."""


def topology(workload: Workload, notes: Mapping[Ref, str], title: str) -> Markup:
    """Networks as bars, routers and servers as boxes with lines to their networks, volumes beneath.

    As many boxes stand side by side as a page is wide; the rest follows in further drawings, each with the networks that its
    boxes stand on (the first one also with those on which nothing stands). `notes` marks objects (`failed`, `changed`, `left`): a word stands beside the name, colour only repeats it.
    """
    boxes: list[tuple[Router | Server, list[tuple[str, str]]]] = [
        *((r, _router_links(workload, r)) for r in workload.of(Router)),
        *((s, _server_links(workload, s)) for s in workload.of(Server)),
    ]
    nets = list(workload.of(Network))
    stood_on = {net for _, links in boxes for net, _ in links}
    bands = [boxes[i : i + WIDE] for i in range(0, len(boxes), WIDE)] or [[]]
    drawn = []
    for number, band in enumerate(bands, start=1):
        of = {net for _, links in band for net, _ in links}
        own = [n for n in nets if n.id in of or (number == 1 and n.id not in stood_on)]
        told = title if len(bands) == 1 else f"{title} {number}/{len(bands)}"
        drawn.append(_band(workload, own, band, notes, told))
    return Markup("").join(drawn)


def _band(
    workload: Workload, nets: Sequence[Network], boxes: Sequence[tuple[Router | Server, list[tuple[str, str]]]],
    notes: Mapping[Ref, str], title: str,
) -> Markup:  # fmt: skip
    external = any(net == "external" for _, links in boxes for net, _ in links)
    rows = {"external": 0} if external else {}
    for network in nets:
        rows[network.id] = len(rows)
    width = max(2, len(boxes)) * (BOX + GAP) + GAP
    top = len(rows) * BAR + 30
    parts = [_bar(workload, n, rows[n.id], width, notes) for n in nets]
    if external:
        parts.insert(0, _external(width))
    deepest = 0
    for column, (box, links) in enumerate(boxes):
        x = GAP + column * (BOX + GAP)
        parts += [
            _link(x + 26 + 34 * i, rows[net] * BAR + 30, top, label)
            for i, (net, label) in enumerate(links)
            if net in rows
        ]
        volumes = _volumes(workload, box)
        parts.append(_box(workload, box, x, top, notes, volumes))
        deepest = max(deepest, len(volumes))
    height = top + 62 + 20 * deepest
    head = f'<svg class="topology" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{_t(title)}">'
    return Markup(f"{head}<title>{_t(title)}</title>{''.join(parts)}</svg>")  # noqa: S704 - escaped part by part


def _t(text: object, most: int = 40) -> str:
    shown = printable(str(text))
    return str(escape(shown if len(shown) <= most else shown[: most - 1] + "…"))


def _noted(reference: Ref, notes: Mapping[Ref, str]) -> tuple[str, str]:
    """The CSS class and the word (as SVG, in both languages) of a mark."""
    word = notes.get(reference, "")
    if not word:
        return "", ""
    told = _MARKS[word]
    return f" {word}", f' · <tspan lang="de">{_t(words(told, "de"))}</tspan><tspan lang="en">{_t(words(told))}</tspan>'


def _external(width: int) -> str:
    return (
        f'<g class="net external"><rect x="4" y="18" width="{width - 8}" height="14" rx="7"/>'
        f'<text x="12" y="13">Internet</text></g>'
    )


def _bar(workload: Workload, network: Network, row: int, width: int, notes: Mapping[Ref, str]) -> str:
    y = row * BAR
    css, word = _noted(network.ref, notes)
    cidrs = ", ".join(s.cidr for s in workload.of(Subnet) if s.network_id == network.id)
    return (
        f'<g class="net{css}"><rect x="4" y="{y + 18}" width="{width - 8}" height="14" rx="7"/>'
        f'<text x="12" y="{y + 13}"><tspan class="name">{_t(network.name)}</tspan> {_t(cidrs, 80)}{word}</text></g>'
    )


def _router_links(workload: Workload, router: Router) -> list[tuple[str, str]]:
    links = [("external", "")] if router.external_network_id else []
    legs: dict[str, list[str]] = {}
    for leg in workload.of(RouterInterface):
        if leg.router_id == router.id:
            legs.setdefault(leg.network_id, []).extend(ip.ip_address for ip in leg.fixed_ips)
    return links + [(net, _last(ips)) for net, ips in legs.items()]


def _server_links(workload: Workload, server: Server) -> list[tuple[str, str]]:
    ports = [workload.by_ref.get(ref(Kind.PORT, p)) for p in server.port_ids]
    return [(p.network_id, _last([ip.ip_address for ip in p.fixed_ips])) for p in ports if isinstance(p, Port)]


def _last(ips: Sequence[str]) -> str:
    four = next((ip for ip in ips if "." in ip), "")
    return f".{four.rpartition('.')[2]}" if four else ""


def _link(x: int, y: int, top: int, label: str) -> str:
    return (
        f'<line class="link" x1="{x}" y1="{y + 2}" x2="{x}" y2="{top}"/>'
        f'<text class="ip" x="{x + 3}" y="{top - 4}">{_t(label)}</text>'
    )


def _volumes(workload: Workload, box: Router | Server) -> list[Volume]:
    own = [a for a in workload.of(Attachment) if isinstance(box, Server) and a.server_id == box.id]
    own.sort(key=lambda a: (a.boot_index != 0, len(a.device), a.device))
    found = (workload.by_ref.get(ref(Kind.VOLUME, a.volume_id)) for a in own)
    return [v for v in found if isinstance(v, Volume)]


def _box(
    workload: Workload, box: Router | Server, x: int, y: int, notes: Mapping[Ref, str], volumes: Sequence[Volume]
) -> str:
    css, word = _noted(box.ref, notes)
    if isinstance(box, Server):
        public = [f.address for f in workload.of(FloatingIp) if f.port_id in box.port_ids]
        detail = f"{box.flavor.name} {box.status}" + (f" {public[0]}" if public else "")
    else:
        detail = "router"
    chips = [
        f'<g class="volume{_noted(v.ref, notes)[0]}"><rect x="{x + 8}" y="{y + 54 + 20 * i}" width="{BOX - 16}" height="17" rx="3"/>'
        f'<text x="{x + 14}" y="{y + 66 + 20 * i}">{_t(v.name, 16)} {v.size_gib} GiB{_noted(v.ref, notes)[1]}</text></g>'
        for i, v in enumerate(volumes)
    ]
    return (
        f'<g class="box {box.own_kind.value}{css}"><rect x="{x}" y="{y}" width="{BOX}" height="50" rx="5"/>'
        f'<text class="name" x="{x + 8}" y="{y + 20}">{_t(box.name, 14 if word else 18)}{word}</text>'
        f'<text x="{x + 8}" y="{y + 38}">{_t(detail, 22)}</text></g>{"".join(chips)}'
    )


NAMED = 28
"""Steps that the timeline shows one by one: the longest."""


def timeline(journal: Sequence[Mapping[str, Any]], names: Mapping[Ref, str], title: str) -> Markup:
    """A bar for each of the longest steps, from its intent to its end, in the order of their beginning."""
    spans: dict[str, list[datetime]] = {}
    for row in journal:
        event = row["event"]
        if event["kind"] in ("intended", "done") and event["node"]:
            spans.setdefault(event["node"], []).append(datetime.fromisoformat(str(row["at"])))
    whole = [(n, min(t), max(t)) for n, t in spans.items()]
    if not whole:
        return Markup("")
    begin, end = min(s[1] for s in whole), max(s[2] for s in whole)
    shown = sorted(sorted(whole, key=lambda s: s[1] - s[2])[:NAMED], key=lambda s: s[1])
    seconds = max((end - begin).total_seconds(), 0.001)
    row_height, left, width = 17, 250, 760
    height = len(shown) * row_height + 24
    bars = []
    for number, (node, first, last) in enumerate(shown):
        x = left + (first - begin).total_seconds() / seconds * (width - left - 46)
        length = max((last - first).total_seconds() / seconds * (width - left - 46), 2.0)
        y = number * row_height
        bars.append(
            f'<text x="0" y="{y + 11}">{_t(_named(node, names), 42)}</text>'
            f'<rect x="{x:.1f}" y="{y + 2}" width="{length:.1f}" height="{row_height - 5}"/>'
            f'<text x="{x + length + 4:.1f}" y="{y + 11}">{(last - first).total_seconds():.1f} s</text>'
        )
    rest = len(whole) - len(shown)
    more = f"{len(shown)} / {len(whole)}" if rest else ""
    axis = f'<text x="{left}" y="{height - 4}">0 s</text><text x="{width}" y="{height - 4}" text-anchor="end">{seconds:.0f} s</text><text x="0" y="{height - 4}">{more}</text>'
    head = f'<svg class="timeline" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{_t(title)}">'
    return Markup(f"{head}<title>{_t(title)}</title>{''.join(bars)}{axis}</svg>")  # noqa: S704 - escaped part by part


def outage_bars(seen: Watched) -> Markup:
    """For each probe who answered when: the source until its last answer, the target from its first, nobody between."""
    times = [t for c in seen.courses for t in (c.source.first, c.target.first) if t is not None]
    begin, end = max(seen.began, min(times, default=seen.began)), max(seen.ended, *times, seen.began)
    seconds = max((end - begin).total_seconds(), 0.001)
    row, left, width = 22, 160, 760

    def at(when: datetime | None, other: float) -> float:
        return other if when is None else left + max(0.0, (when - begin).total_seconds()) / seconds * (width - left)

    bars = []
    for number, one in enumerate(seen.courses):
        y, last, first = number * row, at(one.source.last, left), at(one.target.first, width)
        away = one.seconds()
        bars.append(
            f'<text x="0" y="{y + 14}">{_t(one.probe, 26)}</text>'
            f'<rect class="was" x="{left}" y="{y + 3}" width="{max(last - left, 0):.1f}" height="{row - 8}"/>'
            f'<rect class="nobody" x="{last:.1f}" y="{y + 3}" width="{max(first - last, 0):.1f}" height="{row - 8}"/>'
            f'<rect class="now" x="{first:.1f}" y="{y + 3}" width="{max(width - first, 0):.1f}" height="{row - 8}"/>'
            f'<text x="{min(max((last + first) / 2, left + 30), width - 30):.1f}" y="{y + 14}" text-anchor="middle">'
            f"{'?' if away is None else f'{away:.1f} s'}</text>"
        )
    height = len(seen.courses) * row + 20
    title = "Wer wann antwortete / who answered when"
    axis = f'<text x="{left}" y="{height - 4}">{begin:%H:%M:%S}</text><text x="{width}" y="{height - 4}" text-anchor="end">{end:%H:%M:%S} UTC</text>'
    head = f'<svg class="outage" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{_t(title)}">'
    return Markup(f"{head}<title>{_t(title)}</title>{''.join(bars)}{axis}</svg>")  # noqa: S704 - escaped part by part


def _named(node: str, names: Mapping[Ref, str]) -> str:
    """A step's name with the names of things for their ids."""
    words = (names.get(word, word) or word.partition(":")[0] for word in node.split(" "))
    return " ".join(words)
