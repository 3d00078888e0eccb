# SPDX-License-Identifier: Apache-2.0
"""scs-0117 volume backup: a volume is backed up and restored, with the restored bytes compared. Needs `--write`.

https://docs.scs.community/standards/scs-0117-v1-volume-backup-service#standard. A restore whose bytes nobody
compared has not been shown: a backup that cannot be read back is none.
"""

from __future__ import annotations

from unterbau.prove.judges.frame import Decision, Judge, View, conclude, not_shown, text
from unterbau.prove.judges.scs_0101 import carried

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
                f"its status is {text(item, stuck[0]) or 'unknown'}",
                "available",
                "Configure a backup driver for Cinder, and look into the log of cinder-backup.",
            )
        ]
    elif written and restored and written != restored:
        findings = [
            view.finding(
                "the restored volume of the test",
                f"its bytes have sha256 {restored[:16]}…",
                f"the written ones, {written[:16]}…",
                "Look into the log of cinder-backup: backups of this cloud do not hold what was written.",
            )
        ]
    elif not (written and restored):
        return not_shown("the volume was restored, but its bytes were not compared", 1).but(
            True, "it looks at the status only, not at the bytes"
        )
    return conclude(findings, 1, "a volume was backed up and restored with equal bytes", "").but(
        not stuck, "it looks at the status only, not at the bytes"
    )


JUDGES: dict[str, Judge] = {"scs-0117-test-backup": backup}
