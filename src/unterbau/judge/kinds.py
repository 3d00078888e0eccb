# SPDX-License-Identifier: Apache-2.0
"""Kinds of fact as people call them, and where one looks for what is not known. Pure data, words in the catalogues.

`seeing` and `words` ask it. What a fact of a kind holds, `catalogue.model` says.
"""

from __future__ import annotations

from unterbau.verdict import Reason, Words

KINDS = {
    "recognition": Reason.of("judge.kind.recognition"),
    "alternative": Reason.of("judge.kind.alternative"),
    "claim": Reason.of("judge.kind.claim"),
    "contributor_rule": Reason.of("judge.kind.contributor-rule"),
    "decision": Reason.of("judge.kind.decision"),
    "depends_on": Reason.of("judge.kind.depends-on"),
    "end_of_active_support": Reason.of("judge.kind.end-of-active-support"),
    "end_of_extended_support": Reason.of("judge.kind.end-of-extended-support"),
    "end_of_life": Reason.of("judge.kind.end-of-life"),
    "eu_operator": Reason.of("judge.kind.eu-operator"),
    "eu_support": Reason.of("judge.kind.eu-support"),
    "foreign_control": Reason.of("judge.kind.foreign-control"),
    "foreign_law": Reason.of("judge.kind.foreign-law"),
    "function": Reason.of("judge.kind.function"),
    "layer": Reason.of("judge.kind.layer"),
    "licence": Reason.of("judge.kind.licence"),
    "maturity": Reason.of("judge.kind.maturity"),
    "parent": Reason.of("judge.kind.parent"),
    "release": Reason.of("judge.kind.release"),
    "rights_holder": Reason.of("judge.kind.rights-holder"),
    "seat": Reason.of("judge.kind.seat"),
    "source_code": Reason.of("judge.kind.source-code"),
    "sovereignty_claim": Reason.of("judge.kind.sovereignty-claim"),
    "standard": Reason.of("judge.kind.standard"),
    "steward": Reason.of("judge.kind.steward"),
    "ultimate_parent": Reason.of("judge.kind.ultimate-parent"),
    "version": Reason.of("judge.kind.version"),
}
"""A kind of fact, or of what is missing."""
SHORT = {
    "licence": Reason.of("judge.short.licence"),
    "steward": Reason.of("judge.short.steward"),
    "rights_holder": Reason.of("judge.short.rights-holder"),
    "parent": Reason.of("judge.short.parent"),
    "ultimate_parent": Reason.of("judge.short.ultimate-parent"),
    "end_of_life": Reason.of("judge.short.end-of-life"),
}
"""Before a fact's value in a line."""
LOOK = {
    "licence": Reason.of("judge.look.licence"),
    "rights_holder": Reason.of("judge.look.rights-holder"),
    "steward": Reason.of("judge.look.steward"),
    "parent": Reason.of("judge.look.parent"),
    "ultimate_parent": Reason.of("judge.look.ultimate-parent"),
    "seat": Reason.of("judge.look.seat"),
    "foreign_law": Reason.of("judge.look.foreign-law"),
    "foreign_control": Reason.of("judge.look.foreign-control"),
    "contributor_rule": Reason.of("judge.look.contributor-rule"),
    "end_of_life": Reason.of("judge.look.end-of-life"),
    "end_of_active_support": Reason.of("judge.look.end-of-active-support"),
    "end_of_extended_support": Reason.of("judge.look.end-of-extended-support"),
    "maturity": Reason.of("judge.look.maturity"),
    "decision": Reason.of("judge.look.decision"),
    "release": Reason.of("judge.look.release"),
    "eu_support": Reason.of("judge.look.eu-support"),
    "eu_operator": Reason.of("judge.look.eu-operator"),
    "sovereignty_claim": Reason.of("judge.look.sovereignty-claim"),
    "depends_on": Reason.of("judge.look.depends-on"),
    "source_code": Reason.of("judge.look.source-code"),
    "standard": Reason.of("judge.look.standard"),
    "recognition": Reason.of("judge.look.recognition"),
    "version": Reason.of("judge.look.version"),
    "claim": Reason.of("judge.look.claim"),
    "measurement": Reason.of("judge.look.measurement"),
    "answer": Reason.of("judge.look.answer"),
}
"""Where to look."""


def kind_words(kind: str) -> Words:
    """A kind of fact as people call it."""
    return KINDS.get(kind) or kind.replace("_", " ")
