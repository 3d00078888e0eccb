# SPDX-License-Identifier: Apache-2.0
"""What is missing, verb by verb, before somebody waits for it: on this machine (`machine`), in a cloud (`rights`).

`cli` calls both; `reference.needs` is what `cloud up` looks at first, too. Everything is found by reading: nothing is
made, here or there. What reading does not tell is *not shown*. Not here: whether a drill would succeed (`plan` says that).
"""

from unterbau.doctor.findings import Finding, Findings

__all__ = ["Finding", "Findings"]
