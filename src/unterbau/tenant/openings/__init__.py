# SPDX-License-Identifier: Apache-2.0
"""What a plan, and what a target, opens against the source. Pure: no cloud, no clock, no file.

`planning` and `drill` ask it of a plan (`switch.openings`), `verify` of a target (`judge`); `evidence` thereby too. It
looks at effects, not at fields one by one: which traffic reaches each port, whom an ACL lets in, on which external
networks something is to be seen. What the source has not is closed there. What could not be read of either side is
told as such (`Unseen`), never as closed. It does not know who allowed what: that is `Plan.allows`.
"""

from __future__ import annotations

from unterbau.tenant.openings.judge import Judged, Unseen, judge

__all__ = ["Judged", "Unseen", "judge"]
