# SPDX-License-Identifier: Apache-2.0
"""What is added to the technologies when the catalogue is loaded: owners, and what importers say.

`catalogue.load` calls it. Who owns a company is written once, in `organisations/*.yaml`, and added to every technology
whose steward or rights holder it is, with all owners above. `imported/*.json` was written by `unterbau facts refresh`;
its facts stand beside those that a person wrote and replace none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from unterbau.catalogue import lifetime
from unterbau.catalogue.importers.port import Imported, ImportedFact
from unterbau.catalogue.model import (
    Catalogue,
    Fact,
    ForeignLawFact,
    OperatorFact,
    OrganisationFact,
    ParentFact,
    SeatFact,
    Source,
    SupportFact,
    Technology,
    Text,
)
from unterbau.catalogue.plain import REMEDY, faults, plain_yaml, read
from unterbau.errors import UsageError
from unterbau.verdict import Model

_FACT: TypeAdapter[Fact] = TypeAdapter(Fact)


class Owned(Model):
    """A company: where its seat is, who owns it, which law reaches it. Facts name it by `of` (of a law: `on`)."""

    name: Text
    also: tuple[Text, ...] = ()
    """Names by which facts call it, too."""
    facts: tuple[SeatFact | ParentFact | ForeignLawFact, ...]


class Organisations(Model):
    """One file: companies that belong together."""

    organisations: tuple[Owned, ...]


def organisations(folder: Path) -> dict[str, Owned]:
    """The companies by name. Raises UsageError."""
    found: dict[str, Owned] = {}
    for path in sorted(folder.glob("*.yaml")):
        data = read(path)
        for owned in _valid(Organisations, path, data, plain_yaml(path, data)).organisations:
            if owned.name in found:
                raise UsageError(f"{path}: {owned.name} stands twice", "Write what is known of a company once.")
            found[owned.name] = owned
    return found


def imported(folder: Path) -> tuple[Imported, ...]:
    """What importers wrote. Raises UsageError."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Imported.model_validate_json(read(path)))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(f"{path}: {where}: {first['msg']}", "Write it anew: unterbau facts refresh") from None
    return tuple(found)


def _valid(model: type[Any], path: Path, data: bytes, plain: dict[str, Any]) -> Any:
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise UsageError("\n".join(faults(path, data, error)), REMEDY) from None


def complete(known: Catalogue, owned: Mapping[str, Owned], said: Iterable[Imported]) -> Catalogue:
    """The technologies with the owners of their organisations, and with what importers say of them."""
    more: dict[str, list[Fact]] = {t.id: _owners(t, owned) for t in known.values()}
    for data_set in said:
        for technology, facts in data_set.facts.items():
            if technology in more:
                more[technology] += [fact_of(data_set, f) for f in facts]
    return {i: t.model_copy(update={"facts": (*t.facts, *more[i])}) if more[i] else t for i, t in known.items()}


def _owners(technology: Technology, owned: Mapping[str, Owned]) -> list[Fact]:
    """All that is known of the companies that its facts name, and of those above them."""
    called = {alias: one for one in owned.values() for alias in (one.name, *one.also)}
    found: list[Fact] = []
    queue = [n for f in technology.facts if (n := _named(f))]
    seen: set[str] = set()
    while queue:
        name = queue.pop(0)
        if name in seen or name not in called:
            continue
        seen.add(name)
        for fact in called[name].facts:
            moved = _for(fact, called[name].name, name)
            if moved not in technology.facts and moved not in found:
                found.append(moved)
            if isinstance(fact, ParentFact):
                queue.append(fact.value.name)
    return found


def _named(fact: Fact) -> str:
    """The organisation that a fact is about, if it is about one."""
    match fact:
        case OrganisationFact(value=v):
            return v.name
        case SupportFact(value=vendor):
            return vendor.vendor
        case OperatorFact(value=o):
            return o.operator
        case _:
            return ""


def _for(fact: SeatFact | ParentFact | ForeignLawFact, name: str, called: str) -> Fact:
    """The fact as it reads where the company is called by another name."""
    if name == called:
        return fact
    field = "on" if isinstance(fact, ForeignLawFact) else "of"
    update = {k: called for k in (field, "name") if getattr(fact.value, k, None) == name}
    return fact.model_copy(update={"value": fact.value.model_copy(update=update)})


def fact_of(data_set: Imported, one: ImportedFact) -> Fact:
    """A fact as a data set says it, with its page, commit and age."""
    words = {"kind": one.kind.replace("_", " "), "versions": one.versions, "value": one.value}
    return _FACT.validate_python(
        {
            "kind": one.kind,
            "versions": one.versions,
            "value": one.value,
            "since": one.since,
            "confidence": data_set.confidence,
            "expires": lifetime.expires(one.kind, data_set.as_of, dated=data_set.dated != "reading"),
            "source": Source(
                url=data_set.pages.format(page=one.page), read=data_set.read, as_of=data_set.as_of,
                says=one.says or data_set.says.format(**words), origin=data_set.origin, dated=data_set.dated,
                sha256=data_set.sha256, quote=one.quote, data_set=data_set.data_set,
            ),
        }
    )  # fmt: skip
