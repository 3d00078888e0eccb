# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.judge`: a synthetic CycloneDX SBOM judged by all rule sets, how that grows, and two rule engines;
and how much of real stacks is recognised (`python -m bench.judge truth` prints that alone).

Each size runs in a process of its own, pinned to one core, from the file to the judgement: start, catalogue, rules,
reading, recognition, judging; then the JSON result. Then ALASCA's rule on the same parts by this engine, by
OPA's language (regopy, batch input) and by CEL (common-expression-language, an expression a part). Both get the
facts ready for evaluation as numbers, which this engine has to look up, compare with versions, and cite.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from bench.page import publish

SIZES = (10_000, 50_000, 100_000)
COMPARED = 100_000
LICENCES = ("MIT", "Apache-2.0", "GPL-2.0-only", "BSD-3-Clause", "ISC", "SSPL-1.0", "MIT OR Apache-2.0", None)
DAY = date(2026, 11, 23)
REGO = """
package stack
import rego.v1
found := [o |
  some p in input.parts
  held := max([p.direct, min([p.osi, p.support, p.operator])])
  never := min([p.claim, max([p.law, p.steward_us, p.holder_us])])
  o := min([held, 2 - never])
]
"""
_OSI = "(osi < support ? (osi < op ? osi : op) : (support < op ? support : op))"
_PATHS = f"(direct > {_OSI} ? direct : {_OSI})"
_NEVER = "(2 - (claim < reach ? claim : reach))"
CEL = f"{_PATHS} < {_NEVER} ? {_PATHS} : {_NEVER}"


def sbom(components: int) -> dict[str, Any]:
    """A tenth are technologies of the catalogue in many versions, the rest libraries that nobody knows."""
    from unterbau import catalogue

    chance = random.Random(1)  # noqa: S311 - the same SBOM every time
    purls = sorted(p for t in catalogue.load().values() for p in t.recognise.purls if not p.endswith("*"))
    listed = []
    for number in range(components):
        if number % 10 == 0:
            version = f"{chance.randint(0, 30)}.{chance.randint(0, 9)}.{chance.randint(0, 20)}"
            purl = chance.choice(purls)
            name = purl.rpartition("/")[2]
        else:
            version, name = "1.0.0", f"library-{number}"
            purl = f"pkg:npm/{name}"
        licence = chance.choice(LICENCES)
        component = {"type": "library", "bom-ref": str(number), "name": name, "version": version}
        component["purl"] = f"{purl}@{version}"
        licences: list[dict[str, Any]] = [] if licence is None else [_licence(licence)]
        listed.append({**component, "licenses": licences})
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": listed}


def _licence(text: str) -> dict[str, Any]:
    return {"expression": text} if " " in text else {"license": {"id": text}}


def one(path: str) -> None:
    """Judge the file by all rule sets; print seconds of the core and memory. Runs in a process of its own."""
    started = 0.0
    from unterbau import catalogue
    from unterbau import stack as readers
    from unterbau.judge import engine, no_collector, rules
    from unterbau.stack.recognise import recognise

    with no_collector():
        known, rule_sets = catalogue.load(), rules.load()
        loaded = time.process_time()
        stack = readers.read(Path(path))
        read = time.process_time()
        judged = engine.judge(recognise(stack, known), known, rule_sets, DAY)
        done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
        "start": loaded - started, "read": read - loaded, "judge": done - read, "all": done - started,
        "mebibytes": peak / 1024, "groups": len(judged.groups), "findings": len(judged.findings),
        "parts": len(judged.parts), "rules": sum(len(r.rules) for r in rule_sets),
    }  # fmt: skip
    print(json.dumps(told))


def measure(components: int, folder: Path) -> dict[str, float]:
    """The median of three runs on one core."""
    path = folder / f"{components}.cdx.json"
    path.write_text(json.dumps(sbom(components)))
    core = min(os.sched_getaffinity(0))
    runs = []
    for _ in range(3):
        done = subprocess.run(
            ["taskset", "-c", str(core), sys.executable, "-m", "bench.judge", "one", str(path)],
            capture_output=True,
            check=True,
            text=True,
        )
        runs.append(json.loads(done.stdout))
    return sorted(runs, key=lambda r: r["all"])[1]


def compare(folder: Path) -> list[list[str]]:
    """ALASCA's rule for technologies, by three engines: seconds, and that they agree."""
    import cel
    import regopy

    from unterbau import catalogue
    from unterbau import stack as readers
    from unterbau.judge import engine, rules
    from unterbau.judge.rule import RuleSet
    from unterbau.stack.recognise import recognise

    path = folder / "compared.cdx.json"
    path.write_text(json.dumps(sbom(COMPARED)))
    known = catalogue.load()
    (alasca,) = rules.load(["alasca"])
    single = RuleSet.model_validate({**dict(alasca), "rules": [r for r in alasca.rules if r.id == "technology"]})
    stack = recognise(readers.read(path), known)
    started = time.process_time()
    judged = engine.judge(stack, known, [single], DAY)
    ours = time.process_time() - started

    ready = numbers(stack, known, alasca)
    expected = [0] * len(stack.parts)
    rank = {"failed": 0, "not shown": 1, "held": 2}
    for finding in judged.findings:
        if finding.group is not None:
            for number in judged.groups[finding.group].parts:
                expected[number] = rank[finding.outcome.value]

    opa = regopy.Interpreter()
    opa.add_module("stack", REGO)
    started = time.process_time()
    opa.set_input({"parts": ready})
    answer = json.loads(str(opa.query("data.stack.found")))["expressions"][0]
    rego = time.process_time() - started
    assert answer == expected, "regopy and we differ"

    program = cel.compile(CEL)
    contexts = [
        {
            "direct": p["direct"], "osi": p["osi"], "support": p["support"], "op": p["operator"], "claim": p["claim"],
            "reach": max(p["law"], p["steward_us"], p["holder_us"]),
        }
        for p in ready
    ]  # fmt: skip
    started = time.process_time()
    answers = [program.execute(c) for c in contexts]
    expression = time.process_time() - started
    assert answers == expected, "CEL and we differ"
    return [
        ["this engine (versions, facts cited, reasons)", f"{ours:.3f}", "1"],
        ["regopy (facts given)", f"{rego:.3f}", f"{rego / ours:.1f}"],
        ["common-expression-language (facts given)", f"{expression:.3f}", f"{expression / ours:.1f}"],
    ]


def numbers(stack: Any, known: Any, alasca: Any) -> list[dict[str, int]]:
    """What the other engines get: 0 failed, 1 not shown, 2 held, of each leaf of the rule, for each part."""
    from unterbau.judge import engine
    from unterbau.judge.rule import RuleSet

    rule = next(r for r in alasca.rules if r.id == "technology")
    support = rule.paths["osi-and-eu-expertise"].all
    reach = alasca.define["foreign-reach"].any
    leaves = {
        "direct": rule.paths["direct"], "osi": support[0], "support": support[1], "operator": support[2],
        "claim": alasca.define["claims-sovereignty"], "law": reach[0], "steward_us": reach[1], "holder_us": reach[2],
    }  # fmt: skip
    asked = [{"id": n.replace("_", "-"), "text": n, "paths": {"direct": e}} for n, e in leaves.items()]
    split = RuleSet.model_validate({**dict(alasca), "rules": asked})
    judged = engine.judge(stack, known, [split], DAY)
    rank = {"failed": 0, "not shown": 1, "held": 2}
    found: list[dict[str, int]] = [{} for _ in stack.parts]
    for finding in judged.findings:
        name = finding.rule.partition("/")[2].replace("-", "_")
        for number in judged.groups[finding.group or 0].parts:
            found[number][name] = rank[finding.outcome.value]
    return found


def truth(folder: Path) -> list[list[str]]:
    """Recall and precision by stack, and of those that were held out; prints what was missed and what is wrong."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))
    from judge_truth import Count, load
    from judge_truth import measure as count

    from unterbau import catalogue

    known = catalogue.load()
    totals = {False: Count(), True: Count()}
    rows = []
    for stack in load():
        found = count(stack, known, folder / stack["stack"])
        totals[stack["held_out"]].add(found)
        rows.append([stack["stack"], *_row(found)])
    for held_out, total in totals.items():
        rows.append([f"**all {'held out' if held_out else 'others'}**", *_row(total)])
        for line in [f"missed: {m}" for m in total.missed] + [f"wrong: {w}" for w in total.wrong]:
            print(line)
    return rows


def _row(found: Any) -> list[str]:
    return [
        f"{found.parts}", f"{found.known}", f"{found.found}", f"{found.recall:.1%}",
        f"{len(found.seen)} of {len(found.technologies)}", f"{found.right} of {found.recognised}", f"{found.precision:.1%}",
    ]  # fmt: skip


COUNTED = ["stack", "parts", "catalogued", "recognised", "recall", "technologies", "right", "precision"]


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = {n: measure(n, folder) for n in SIZES}
        engines = compare(folder)
    first = told[SIZES[0]]["all"] - told[SIZES[0]]["start"]
    rows = [
        [
            f"{n:,}", f"{t['all']:.2f}", f"{t['read']:.2f}", f"{t['judge']:.2f}", f"{t['mebibytes']:.0f}",
            f"{t['groups']:.0f}", f"{t['findings']:,.0f}", f"{(t['all'] - t['start']) / first / (n / SIZES[0]):.2f}",
        ]
        for n, t in told.items()
    ]  # fmt: skip
    head = (
        f"Measured {time.strftime('%Y-%m-%d')} by `python -m bench.judge`: a synthetic CycloneDX SBOM, all rule sets "
        f'({told[SIZES[0]]["rules"]:.0f} rules), seconds of one core, median of three. "All" includes the start of Python, '
        "catalogue and rules. The last column is the time per component against the smallest: 1 or less is linear."
    )
    publish(
        "judge", head, ["components", "all, s", "reading, s", "judging, s", "MiB", "groups", "findings", "growth"], rows
    )
    head = (
        f"ALASCA's rule on {COMPARED:,} components; all three give the same outcomes. The other two get facts that were "
        "looked up and compared with versions beforehand; this engine does that itself and groups parts with equal facts."
    )
    publish("judge: rule engines", head, ["engine", "seconds of one core", "ratio"], engines)
    publish_truth()


def publish_truth() -> None:
    """Recognition of real stacks."""
    with tempfile.TemporaryDirectory() as name:
        rows = truth(Path(name))
    head = (
        "Of public stacks, by a truth made by hand (tests/assets/truth): how many of the parts that the catalogue holds are "
        "recognised, in their version, and how many of the recognised are right. The five that were held out were opened "
        "only after recognition was finished."
    )
    publish("judge: recognition", head, COUNTED, rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2])
    elif sys.argv[1:2] == ["truth"]:
        publish_truth()
    else:
        main()
