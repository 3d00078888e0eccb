# SPDX-License-Identifier: Apache-2.0
"""SCS conformance that a third party can check: collect once, judge offline.

`inventory` what was seen, `verdicts` what judging yields, `data` what the standards demand and since when,
`flavor_name` the names of scs-0100, `judges` one module a standard, `evaluate.judge` all of it at a date. These are
pure. Around them: `collect`, `secure`, `write`, `output`, `history`. See docs/design/prove.md.
"""
