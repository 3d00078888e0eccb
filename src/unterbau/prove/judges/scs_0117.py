# SPDX-License-Identifier: Apache-2.0
"""scs-0117 volume backup: a volume is backed up and restored, with the restored bytes compared. Needs `--write`.

https://docs.scs.community/standards/scs-0117-v1-volume-backup-service#standard. A restore whose bytes nobody
compared has not been shown: a backup that cannot be read back is none.
"""

from __future__ import annotations

from unterbau.prove.judges.frame import Decision, Judge, View, conclude, not_shown, text
from unterbau.prove.judges.scs_0101 import carried
from unterbau.verdict import Reason

_STAGES = ("volume", "backup", "restored")


def backup(view: View) -> Decision:
    """Volume, backup and restored volume become available, and the bytes are the same."""
    item = carried(view, "backup")
    if isinstance(item, Decision):
        return item
    stuck = [stage for stage in _STAGES if text(item, stage) != "available"]
    written, restored = text(item, "written_sha256"), text(item, "restored_sha256")
    findings = []
    if stuck:
        findings = [
            view.finding(
                f"the {stuck[0]} of the test",
                Reason.of("prove.backup.status", status=text(item, stuck[0]) or Reason.of("prove.unknown")),
                "available",
                Reason.of("prove.backup.driver"),
            )
        ]
    elif written and restored and written != restored:
        findings = [
            view.finding(
                "the restored volume of the test",
                Reason.of("prove.backup.bytes", digest=f"{restored[:16]}…"),
                Reason.of("prove.backup.written", digest=f"{written[:16]}…"),
                Reason.of("prove.backup.log"),
            )
        ]
    elif not (written and restored):
        return not_shown(Reason.of("prove.backup.not-compared"), 1).but(True, Reason.of("prove.suite.status-only"))
    return conclude(findings, 1, Reason.of("prove.backup.good"), "").but(
        not stuck, Reason.of("prove.suite.status-only")
    )


JUDGES: dict[str, Judge] = {"scs-0117-test-backup": backup}
