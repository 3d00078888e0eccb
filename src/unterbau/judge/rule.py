# SPDX-License-Identifier: Apache-2.0
"""Rules as data: what is asked of a part or of a whole stack, in expressions over facts. Pure.

`rules` loads files into these types, `engine` evaluates them in three-valued logic. A rule file is a list of rules
with paths: `direct`, and exceptions by name; a rule is held by the first path that is. No rule carries a weight
into a sum, and no expression can call anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, GetJsonSchemaHandler, JsonValue, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from unterbau.catalogue.model import EU, KINDS, Function, Layer, Source, Text
from unterbau.verdict import Model, later
from unterbau.verdict.exhibit import ASPECTS, Kind

CONSTANTS: dict[str, tuple[str, ...]] = {"$EU": tuple(sorted(EU)), "$EEA": tuple(sorted({*EU, "IS", "LI", "NO"}))}
"""Lists that every rule file may name."""

OPEN = frozenset(
    [
        "alternative", "decision", "depends_on", "eu_operator", "eu_support", "fork_of", "foreign_control", "foreign_law",
        "forked_as", "maturity", "parent", "seat", "sovereignty_claim", "standard", "successor",
    ]
)  # fmt: skip
"""Kinds of which nobody can list all: that no known fact fits is no proof that none exists."""


class Asked(Model):
    """What a field must be: one of some values, none of some, a licence that the OSI approved, or a beginning."""

    among: tuple[str, ...] | None = Field(None, alias="in")
    not_in: tuple[str, ...] | None = None
    osi: bool | None = None
    prefix: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """A text or a list means `in`; `$EU` is replaced."""
        value = {"in": value} if isinstance(value, (str, list, tuple)) else value
        if not isinstance(value, dict):
            return value
        return {k: _listed(v) if k != "osi" else v for k, v in value.items()}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A text or a list may stand for `in`, a text for a list of one."""
        texts: JsonSchemaValue = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        fields: JsonSchemaValue = dict.fromkeys(("in", "not_in", "prefix"), texts) | {"osi": {"type": "boolean"}}
        return {
            "anyOf": [
                *texts["anyOf"],
                {"type": "object", "properties": fields, "additionalProperties": False, "minProperties": 1},
            ]
        }

    @model_validator(mode="after")
    def _one(self) -> Asked:
        if sum(v is not None for v in (self.among, self.not_in, self.osi, self.prefix)) != 1:
            raise ValueError("one of in, not_in, osi, prefix is expected")
        return self


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        if value.startswith("$") and value not in CONSTANTS:
            raise ValueError(f"{value} is no list; known: {', '.join(CONSTANTS)}")
        return CONSTANTS.get(value, (value,))
    return value


class AllOf(Model):
    """Held if all are."""

    all: tuple[Expression, ...] = Field(min_length=1)


class AnyOf(Model):
    """Held if one is."""

    any: tuple[Expression, ...] = Field(min_length=1)


class NotOf(Model):
    """Held if the expression fails."""

    negated: Expression = Field(alias="not")


class FactTest(Model):
    """Whether the facts of a kind are as asked.

    Held if one is (`every: true`: if all are). Else failed; but not shown for kinds of which nobody can list all,
    where the version decides and is not known, and where there is no fact, unless `absent` says what that means.
    """

    fact: Text
    where: dict[str, Asked] = {}
    every: bool = False
    absent: Literal["held", "failed"] | None = None
    text: str = ""
    """What is asked, in words: `the steward has its seat in the EU`."""

    @model_validator(mode="after")
    def _known(self) -> FactTest:
        if self.fact not in KINDS:
            raise ValueError(f"{self.fact!r} is no kind of fact; kinds: {', '.join(sorted(KINDS))}")
        return self


class Chain(Model):
    """Whether an organisation, and all that own it up to the end, are as asked (`seat`, `form`, `name`).

    Held if every link is; `one: true`: if one is. A foundation, an association, a public body and people have no
    owner; for a company each owner must be known up to one that has none. An unknown link is not shown, unless
    a known one decides.
    """

    chain: Literal["steward", "rights_holder"]
    where: dict[Literal["seat", "form", "name"], Asked] = Field(min_length=1)
    one: bool = False
    absent: Literal["held", "failed"] | None = None
    """What it means that nobody knows the first organisation; an unknown owner is never absent."""
    text: str = ""


class Operated(Model):
    """Whether it is something that can be operated as a service; a tool is not."""

    operated: Literal[True]


class Supported(Model):
    """Whether the version is still maintained on the day of the judgement (`end_of_life`)."""

    supported: Literal[True]
    text: str = "the version is still maintained"


class Claimed(Model):
    """What the stack's owner claims of the part or of the stack (`sovereign`)."""

    claim: Text
    absent: Literal["held", "failed"] | None = None
    text: str = ""


class InLayer(Model):
    """Whether the technology belongs to one of these layers."""

    layer: tuple[Layer, ...]


class HasFunction(Model):
    """Whether the technology has one of these functions."""

    function: tuple[Function, ...]


class IsTechnology(Model):
    """Whether it is one of these technologies of the catalogue."""

    technology: tuple[Text, ...]


class Measured(Model):
    """Whether a number that was measured (e.g. in a git history) reaches a bound; unmeasured is not shown."""

    measure: Text
    at_least: float | None = None
    below: float | None = None
    text: str = ""


class Evidenced(Model):
    """Whether checked bundles show an aspect (`verdict.exhibit.ASPECTS`).

    Of each pair of clouds the newest bundle counts. Held if every source has a target for which it is held; a bundle that
    does not check, is signed by a key that nobody named, or is too old shows nothing.
    """

    evidence: Kind
    shows: Text
    at_most: float | None = None
    """The most that the aspect's number may be."""
    elsewhere: bool = False
    """It asks about a provider: clouds that all answer on one machine show nothing of it."""
    text: str = ""

    @model_validator(mode="after")
    def _known(self) -> Evidenced:
        if self.shows not in ASPECTS[self.evidence]:
            raise ValueError(f"a {self.evidence} shows {', '.join(ASPECTS[self.evidence])}, not {self.shows!r}")
        return self


class Use(Model):
    """An expression that the file defines under a name."""

    use: Text


class Some(Model):
    """Of the whole stack: whether one part is as asked."""

    some: Expression
    text: str = ""


class Every(Model):
    """Of the whole stack: whether each part is as asked."""

    each: Expression
    text: str = ""


class Unknowable(Model):
    """What no catalogue can show; says who can. Always not shown."""

    ask: Text


_FORMS: dict[str, type[Model]] = {
    "all": AllOf, "any": AnyOf, "not": NotOf, "fact": FactTest, "chain": Chain, "operated": Operated, "supported": Supported, "claim": Claimed,
    "layer": InLayer, "function": HasFunction, "technology": IsTechnology, "measure": Measured, "evidence": Evidenced, "use": Use,
    "some": Some, "each": Every, "ask": Unknowable,
}  # fmt: skip


def _form(value: Any) -> str | None:
    keys = value.keys() if isinstance(value, dict) else type(value).model_fields.keys()
    found = [k for k in _FORMS if k in keys or (k == "not" and "negated" in keys)]
    return found[0] if len(found) == 1 else None


Expression = Annotated[
    Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[NotOf, Tag("not")]
    | Annotated[FactTest, Tag("fact")]
    | Annotated[Chain, Tag("chain")]
    | Annotated[Operated, Tag("operated")]
    | Annotated[Supported, Tag("supported")]
    | Annotated[Claimed, Tag("claim")]
    | Annotated[InLayer, Tag("layer")]
    | Annotated[HasFunction, Tag("function")]
    | Annotated[IsTechnology, Tag("technology")]
    | Annotated[Measured, Tag("measure")]
    | Annotated[Evidenced, Tag("evidence")]
    | Annotated[Use, Tag("use")]
    | Annotated[Some, Tag("some")]
    | Annotated[Every, Tag("each")]
    | Annotated[Unknowable, Tag("ask")],
    Discriminator(
        _form,
        custom_error_type="expression",
        custom_error_message="an expression has exactly one of: " + ", ".join(_FORMS),
    ),
]
"""What is asked, as data."""


class Rule(Model):
    """One thing that is asked. `paths` are tried in order; `never` undoes them all."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    text: Text
    of: Literal["part", "stack"] = "part"
    applies: Expression | None = None
    """Parts that this fails for are left out; so are those it is not shown for, unless they are not recognised."""
    paths: dict[str, Expression] = Field(min_length=1)
    """`direct`, and exceptions by name."""
    never: Expression | None = None
    objective: str = ""
    level: int | None = None
    """The step of a ladder (`objective`) for which this must hold."""
    references: tuple[str, ...] = ()
    """Ids of other frameworks that ask the same, e.g. `C3A SOV-6-01`."""
    remedy: str = ""
    german: str = later("")
    """`text` in German."""


class RuleSet(Model):
    """The rules of one author."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    name: Text
    author: Text
    as_of: date
    note: str = ""
    sources: tuple[Source, ...] = Field(min_length=1)
    parameters: dict[str, JsonValue] = {}
    define: dict[str, Expression] = {}
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> RuleSet:
        ids = [r.id for r in self.rules]
        for twice in {i for i in ids if ids.count(i) > 1}:
            raise ValueError(f"rule {twice!r} stands twice")
        for name, expression in self.define.items():
            self._check(f"define.{name}", expression, (name,), whole=None)
        for rule in self.rules:
            asked = [*rule.paths.values(), *(e for e in (rule.never, rule.applies) if e is not None)]
            for expression in asked:
                self._check(f"rule {rule.id}", expression, (), whole=None if rule.of == "stack" else False)
        return self

    def needs(self, rule: Rule) -> Literal["", "measurement", "answer", "evidence"]:
        """What only somebody who measures, answers or has a bundle can give, if a rule asks for nothing else."""
        leaves = {type(e) for p in rule.paths.values() for e in self._leaves(p)}
        if leaves == {Measured}:
            return "measurement"
        if leaves <= {Evidenced, Unknowable}:
            return "evidence" if Evidenced in leaves else "answer"
        return ""

    def _leaves(self, expression: Expression) -> Iterator[Expression]:
        for node in walk(expression):
            if isinstance(node, Use):
                yield from self._leaves(self.define[node.use])
            elif not children(node):
                yield node

    def _check(self, where: str, expression: Expression, seen: tuple[str, ...], *, whole: bool | None) -> None:
        """Names lead somewhere and not in a circle; only a rule of the stack asks about other parts."""
        for node in walk(expression):
            if isinstance(node, Use):
                if node.use not in self.define:
                    raise ValueError(f"{where}: {node.use!r} is not defined")
                if node.use in seen:
                    raise ValueError(f"{where}: {node.use!r} is defined by itself")
                self._check(where, self.define[node.use], (*seen, node.use), whole=whole)
            if isinstance(node, (Some, Every)) and whole is False:
                raise ValueError(f"{where}: `some` and `each` need `of: stack`")


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside."""
    match expression:
        case AllOf(all=inner) | AnyOf(any=inner):
            return inner
        case NotOf(negated=one) | Some(some=one) | Every(each=one):
            return (one,)
        case _:
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all inside it."""
    yield expression
    for inner in children(expression):
        yield from walk(inner)


for _model in (AllOf, AnyOf, NotOf, Some, Every, Rule, RuleSet):
    _model.model_rebuild()
