# SPDX-License-Identifier: Apache-2.0
"""scs-0101 entropy: what a server said of its random numbers. Needs `--write`: a server is made for it.

https://docs.scs.community/standards/scs-0101-v1-entropy#compute-nodes: entropy_avail is 256, and at most 3 of
1000 blocks fail FIPS 140-2. The text promises nothing for kernels older than 5.18.
"""

from __future__ import annotations

from unterbau.prove.inventory import Item
from unterbau.prove.judges.frame import Decision, Judge, View, conclude, not_shown, number, text
from unterbau.verdict import Reason, told_as

BLOCKS = 1000
MOST_FAILURES = 3
REFERENCE_MOST_FAILURES = 5
_KERNEL = (5, 18)


def result(view: View, test: str) -> Item | None:
    """What the write test left, if it ran."""
    return next((item for item in view.items("write_results") if item.get("test") == test), None)


def carried(view: View, test: str) -> Item | Decision:
    """The result of a write test, or why there is none."""
    item = result(view, test)
    if item is None:
        return not_shown(Reason.of("prove.write.not-run"))
    if item.get("error"):
        return not_shown(Reason.of("prove.write.broken-off", why=told_as(item["error"])))
    return item


def entropy_avail(view: View) -> Decision:
    """`/proc/sys/kernel/random/entropy_avail` is 256."""
    item = carried(view, "entropy")
    if isinstance(item, Decision):
        return item
    value = number(item, "entropy_avail")
    if value is None:
        return not_shown(Reason.of("prove.entropy.untold"))
    if value != 256 and _is_old(text(item, "kernel")):
        return not_shown(Reason.of("prove.entropy.old-kernel", kernel=text(item, "kernel"))).but(
            False, Reason.of("prove.suite.kernel")
        )
    findings = [
        view.finding(
            f"server {text(item, 'server')}".strip(),
            Reason.of("prove.key-is", key="entropy_avail", value=f"{value:g}"),
            "256",
            Reason.of("prove.entropy.pass-through"),
        )
    ]
    return conclude(
        [] if value == 256 else findings, 1, Reason.of("prove.key-is", key="entropy_avail", value="256"), ""
    )


def _is_old(kernel: str) -> bool:
    parts = kernel.split(".")[:2]
    return len(parts) == 2 and all(p.isdigit() for p in parts) and tuple(map(int, parts)) < _KERNEL


def fips(view: View) -> Decision:
    """At most 3 of 1000 blocks fail."""
    item = carried(view, "fips")
    if isinstance(item, Decision):
        return item
    failures, blocks = number(item, "failures"), number(item, "blocks")
    if failures is None or blocks is None or blocks < BLOCKS:
        return not_shown(Reason.of("prove.fips.too-few", blocks=BLOCKS))
    seen = Reason.of("prove.fips.failing", failures=failures, blocks=blocks)
    findings = [
        view.finding(
            f"server {text(item, 'server')}".strip(),
            seen,
            Reason.of("prove.fips.at-most", failures=MOST_FAILURES, blocks=BLOCKS),
            Reason.of("prove.fips.repeat"),
        )
    ]
    decision = conclude(findings if failures > MOST_FAILURES * blocks / BLOCKS else [], 1, seen, "")
    return decision.but(failures <= REFERENCE_MOST_FAILURES, Reason.of("prove.suite.fips"))


JUDGES: dict[str, Judge] = {"scs-0101-entropy-avail": entropy_avail, "scs-0101-fips-test": fips}
