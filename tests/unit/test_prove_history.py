# SPDX-License-Identifier: Apache-2.0
"""The history says what changed and why, only grows, and notices when somebody rewrites it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prove_world import NOW, good_items, inventory

from unterbau.errors import LocalError
from unterbau.prove import history
from unterbau.prove.inventory import Inventory
from unterbau.prove.proof import Proof, Question, prove
from unterbau.prove.verdicts import CaseOutcome
from unterbau.verdict import Reason


def proof(inv: Inventory | None = None, at: datetime = NOW, version: str = "v5.1") -> Proof:
    return prove(inv or inventory(), Question(version=version, at=at))


def without_flavor() -> Inventory:
    items = good_items()
    items["flavors"] = [f for f in items["flavors"] if f["name"] != "SCS-1V-4"]
    return inventory(items)


def file(folder: Path) -> Path:
    (found,) = folder.glob("*.jsonl")
    return found


@pytest.mark.thorough
def test_the_first_look_and_one_like_it(tmp_path: Path) -> None:
    assert history.append(tmp_path, proof()) == ("first look: v5.1: held",)
    assert history.append(tmp_path, proof()) == ()
    assert [e.seq for e in history.read(file(tmp_path))] == [1, 2]


@pytest.mark.thorough
def test_a_change_of_the_cloud(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    lines = history.append(tmp_path, proof(without_flavor()))
    assert "v5.1: held -> failed" in lines
    assert any(line.startswith("scs-0103-flavor-1v-4: held -> failed, by the cloud (flavors)") for line in lines)
    assert "v5.1: failed -> held" in history.append(tmp_path, proof())


@pytest.mark.thorough
def test_a_change_without_a_verdict_is_told_too(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    items = good_items()
    items["flavors"].append({**items["flavors"][-1], "id": "another", "name": "m1.other"})
    assert history.append(tmp_path, proof(inventory(items))) == ("the cloud: flavors changed; no verdict did by it",)


@pytest.mark.thorough
def test_order_is_no_change(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    items = good_items()
    for section in items.values():
        section.reverse()
    assert history.append(tmp_path, proof(inventory(items))) == ()


@pytest.mark.thorough
def test_a_service_that_falls_silent(tmp_path: Path) -> None:
    from unterbau.prove.inventory import Status

    history.append(tmp_path, proof())
    lines = history.append(tmp_path, proof(inventory(images=Status.TIMEOUT)))
    assert any("scs-0102-prop-architecture: held -> not shown, by the cloud (images)" in line for line in lines)


@pytest.mark.thorough
def test_time_alone_breaks_a_promise(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    when = NOW + timedelta(days=90)
    lines = history.append(tmp_path, proof(inventory().model_copy(update={"collected_at": when}), at=when))
    assert any(line.startswith("scs-0102-image-recency: held -> failed, by the date") for line in lines)


def rewritten(folder: Path, **update: Any) -> None:
    """The last entry as an older program with other data would have written it."""
    path = file(folder)
    entry = history.read(path)[-1].model_copy(update=update)
    entry = entry.model_copy(update={"hash": entry.expected()})
    path.write_text("".join([*path.read_text().splitlines(keepends=True)[:-1], entry.model_dump_json() + "\n"]))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("update", "cause"),
    [
        ({"tool": "unterbau 0.0.1"}, "our version"),
        ({"data_digest": "sha256:" + "1" * 64}, "our data"),
        ({"tool": "unterbau 0.0.1", "data_digest": "sha256:" + "1" * 64}, "our data or our version"),
    ],
)
def test_our_own_change_is_not_blamed_on_the_cloud(tmp_path: Path, update: dict[str, Any], cause: str) -> None:
    history.append(tmp_path, proof())
    cases = history.read(file(tmp_path))[-1].cases
    cases = cases | {"scs-0103-flavor-1v-4": history.End(outcome=CaseOutcome.FAILED, reason="as we read it then")}
    rewritten(tmp_path, cases=cases, **update)
    lines = history.append(tmp_path, proof())
    assert any(f"scs-0103-flavor-1v-4: failed -> held, by {cause}:" in line for line in lines)


def as_sentences(cases: dict[str, history.End], word: str = "") -> dict[str, history.End]:
    """How an older version wrote them: bare sentences."""
    return {name: history.End(outcome=end.outcome, reason=f"{word}{end.reason}") for name, end in cases.items()}


def as_reworded(cases: dict[str, history.End]) -> dict[str, history.End]:
    """The same reasons, with the words of another version beside them."""
    return {
        name: end.model_copy(update={"reason": Reason(id=end.reason.id, values=end.reason.values, text="otherwise")})
        for name, end in cases.items()
        if isinstance(end.reason, Reason)
    }


@pytest.mark.thorough
def test_other_words_are_no_change(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    cases = history.read(file(tmp_path))[-1].cases
    assert as_reworded(cases).keys() == cases.keys(), "every reason is typed"
    rewritten(tmp_path, cases=as_reworded(cases))
    assert history.append(tmp_path, proof()) == ()
    assert [e.same for e in history.read(file(tmp_path))] == [False, True]
    other = next(iter(cases))
    changed = cases[other].model_copy(update={"reason": Reason.of("prove.no-judge")})
    whole = history.read(file(tmp_path))[0]
    rewritten(tmp_path, cases={**cases, other: changed}, same=False, versions=whole.versions, sections=whole.sections)
    assert history.append(tmp_path, proof()) == ()
    assert not history.read(file(tmp_path))[-1].same, "another reason is kept, though it is no change of a result"


@pytest.mark.thorough
def test_a_history_of_sentences_goes_on(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    rewritten(tmp_path, cases=as_sentences(history.read(file(tmp_path))[-1].cases, "as it was said: "))
    before = file(tmp_path).read_bytes()
    assert history.append(tmp_path, proof()) == ()
    assert file(tmp_path).read_bytes().startswith(before)
    lines = history.append(tmp_path, proof(without_flavor()))
    assert "v5.1: held -> failed" in lines and len(history.read(file(tmp_path))) == 3


@pytest.mark.thorough
def test_another_question(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    lines = history.append(tmp_path, proof(version="next"))
    assert lines[0] == "the question: scs-compatible-iaas v5.1 -> scs-compatible-iaas next"
    assert any(
        "scs-0123-service-placement: not applicable -> not asked" in line or "not asked" in line for line in lines
    )


@pytest.mark.thorough
def test_without_the_old_inventory_it_says_less(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    next(tmp_path.glob("*.last.json")).unlink()
    lines = history.append(tmp_path, proof(without_flavor()))
    assert any("scs-0103-flavor-1v-4: held -> failed, by the cloud or the date" in line for line in lines)


@pytest.mark.thorough
def test_a_rewritten_history_is_noticed(tmp_path: Path) -> None:
    for looked in (proof(), proof(without_flavor()), proof()):
        history.append(tmp_path, looked)
    path = file(tmp_path)
    whole = path.read_text().splitlines(keepends=True)
    plain = json.loads(whole[1])
    plain["versions"]["v5.1"] = "held"
    for broken, told in (
        ([whole[0], json.dumps(plain) + "\n", whole[2]], "line 2: changed"),
        ([whole[0], whole[2]], "line 2: does not follow"),
        ([whole[1], whole[2]], "line 1: does not follow"),
        ([whole[0], "{}\n"], "line 2: not an entry"),
    ):
        path.write_text("".join(broken))
        with pytest.raises(LocalError, match=told):
            history.append(tmp_path, proof())
        assert path.read_text() == "".join(broken)


@pytest.mark.thorough
def test_a_half_written_line_never_was(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    with file(tmp_path).open("a") as out:
        out.write('{"format": "unterbau-hist')
    assert history.append(tmp_path, proof()) == ()
    assert [e.seq for e in history.read(file(tmp_path))] == [1, 2]


@pytest.mark.thorough
def test_looks_without_change_are_short(tmp_path: Path) -> None:
    for _ in range(5):
        history.append(tmp_path, proof())
    lines = file(tmp_path).read_bytes().splitlines()
    assert [e.same for e in history.read(file(tmp_path))] == [False, True, True, True, True]
    assert max(map(len, lines[1:])) < len(lines[0]) / 5
    assert "v5.1: held -> failed" in history.append(tmp_path, proof(without_flavor()))
    assert "v5.1: failed -> held" in history.append(tmp_path, proof())


@pytest.mark.thorough
def test_clouds_have_histories_of_their_own(tmp_path: Path) -> None:
    history.append(tmp_path, proof())
    other = inventory()
    other = other.model_copy(update={"subject": other.subject.model_copy(update={"project_id": "other"})})
    assert history.append(tmp_path, proof(other)) == ("first look: v5.1: held",)
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
