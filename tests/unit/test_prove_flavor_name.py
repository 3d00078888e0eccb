# SPDX-License-Identifier: Apache-2.0
"""Flavor names: properties from the grammar, the examples of the standard, nearest names, comparing."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unterbau.prove.data import load
from unterbau.scs.flavor_name import (
    BadName,
    Meaning,
    explain,
    is_v1,
    is_valid,
    nearest,
    parse,
    parse_any,
    provides_at_least,
    render,
    short,
    shortfalls,
    to_v1,
    to_v2,
)
from unterbau.verdict import Reason

NUMBER = (st.integers(1, 2000) | st.integers(1, 999_999_999)).map(str)
SETTINGS = settings(max_examples=80, deadline=None, derandomize=True, database=None)


def maybe(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.just("") | strategy


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def oneof(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


RAM = joined(NUMBER, st.sampled_from(["", ".5"])) | st.just("0.5")
SIZE = joined(maybe(joined(NUMBER, st.just("x"))), NUMBER)
DISK = joined(st.just("-"), maybe(SIZE), maybe(oneof("n h s p")))
X86 = joined(oneof("i z"), maybe(oneof("0 1 2 3 4 5 6")))
ARM = joined(st.just("a"), maybe(oneof("0 1 2 3 4 5")))
ARCH = joined(st.just("_"), X86 | ARM | st.just("r"), maybe(oneof("h hh hhh")))
GENERATION = (
    joined(st.just("N"), maybe(oneof("f k m p v t a l g b u")))
    | joined(st.just("A"), maybe(oneof("0.4 0.5 1 1.1 2 2.1 3 3.1 3.5 4 4.1 5.1")))
    | joined(st.just("I"), maybe(oneof("0.9 0.95 1 2 3 4")))
)
VRAM = joined(st.just("-"), NUMBER, maybe(oneof("h hh")))
UNITS = joined(st.just("-"), NUMBER, maybe(oneof("h hh hhh")), maybe(VRAM))
GPU = joined(st.just("_"), oneof("G g"), GENERATION, maybe(UNITS))
HEAD = joined(st.just("SCS-"), NUMBER, oneof("L V T C"), maybe(st.just("i")))
MEMORY = joined(st.just("-"), RAM, maybe(st.just("u")), maybe(st.just("o")))
HYPERVISOR = oneof("_kvm _chy _xen _vmw _hyv _bms")
TAIL = joined(maybe(HYPERVISOR), maybe(st.just("_hwv")), maybe(ARCH), maybe(GPU), maybe(st.just("_ib")))
NAMES = joined(HEAD, MEMORY, maybe(DISK), TAIL)


@pytest.mark.thorough
@SETTINGS
@given(NAMES)
def test_a_name_of_the_grammar_is_read_and_written_back(name: str) -> None:
    meaning = parse(name)
    assert render(meaning) == name
    assert parse(render(meaning)) == meaning == Meaning.model_validate_json(meaning.model_dump_json())
    assert f"{meaning.cpus} × " in explain(meaning) and "GiB RAM" in explain(meaning)


@pytest.mark.thorough
@SETTINGS
@given(NAMES)
def test_the_old_spelling_is_a_mapping_of_characters(name: str) -> None:
    old = to_v1(name)
    assert to_v2(old) == name and is_v1(old) and parse_any(old) == parse(name) and not is_valid(old)


@pytest.mark.thorough
@SETTINGS
@given(NAMES)
def test_a_flavor_may_carry_its_own_name_and_its_short_name(name: str) -> None:
    meaning = parse(name)
    assert provides_at_least(meaning, meaning)
    assert provides_at_least(meaning, parse(short(meaning)))
    assert short(parse(short(meaning))) == short(meaning)


FEW = joined(
    st.just("SCS-"),
    oneof("1V 2V 2Vi 2T"),
    oneof("-1 -2 -2u"),
    maybe(oneof("- -5 -5n -5h -5s -5p -2x5s")),
    maybe(oneof("_i _i2 _z _a")),
    maybe(oneof("_GN _GNa _gNa")),
)


@pytest.mark.thorough
@SETTINGS
@given(st.lists(FEW, min_size=12, max_size=12))
def test_providing_at_least_is_an_order(names: list[str]) -> None:
    """Transitive: else a chain of honest renamings could end in a lie."""
    every = [parse(name) for name in names]
    above = {(a, b): provides_at_least(every[a], every[b]) for a in range(12) for b in range(12)}
    for (a, b), left in above.items():
        if left:
            assert all(above[a, c] for c in range(12) if above[b, c]), (names[a], names[b])


@pytest.mark.thorough
@SETTINGS
@given(NAMES, st.sampled_from(string.ascii_letters + string.digits + "-_.: x"), st.integers(0, 60))
def test_an_inserted_character_is_refused_or_read_as_it_stands(name: str, letter: str, where: int) -> None:
    changed = name[:where] + letter + name[where:]
    if is_valid(changed):
        assert render(parse(changed)) == changed
    else:
        with pytest.raises(BadName) as refused:
            parse(changed)
        assert 0 <= refused.value.at <= len(changed) and refused.value.why
        assert refused.value.nearest is None or is_valid(refused.value.nearest)


@pytest.mark.thorough
@SETTINGS
@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert is_valid(text) == (nearest(text) == text) or not is_valid(text)
    if not is_valid(text):
        with pytest.raises(BadName):
            parse(text)


@pytest.mark.thorough
@SETTINGS
@given(NAMES, st.integers(1, 50))
def test_more_of_anything_is_still_at_least(name: str, more: int) -> None:
    meaning = parse(name)
    bigger = meaning.model_copy(update={"cpus": meaning.cpus + more, "ram_gib": meaning.ram_gib + more})
    assert provides_at_least(bigger, meaning)
    assert shortfalls(meaning, bigger)[0] == Reason.of(
        "flavor-name.cpus", offered=meaning.cpus, promised=meaning.cpus + more
    )


@pytest.mark.parametrize(
    "name",
    [
        "SCS-2C-4-10n",
        "SCS-2T-4-10n",
        "SCS-2Li-4-10n",
        "SCS-2C-3.5-10n",
        "SCS-2C-4u-10n",
        "SCS-2C-4o-10n",
        "SCS-2C-4uo-10n",
        "SCS-2C-4-10s_bms_z3",
        "SCS-2C-4-3x10s",
        "SCS-2C-4-10",
        "SCS-2C-4-n",
        "SCS-2C-4-",
        "SCS-2C-4-_bms_z3",
        "SCS-2C-4-_bms_z3h_GNa-64_ib",
        "SCS-2C-4-_ib",
        "SCS-2C-4_bms_z3",
        "SCS-2C-4-3x10",
        "SCS-2C-4-10_kvm_hwv",
        "SCS-2C-4-10n_z3hh",
        "SCS-16V-64-500s_GNa-14h",
        "SCS-8Ti-32-50p_i1",
        "SCS-1L-1u-5",
        "SCS-16T-64-200s_GNa-64_ib",
        "SCS-4C-16-2x200p_a1",
        "SCS-1V-0.5",
        "SCS-16V-64_GNa_ib",
        "SCS-2C-4_GN-14",
        "SCS-2C-4_gA5.1-10-24h",
        "SCS-2C-4_GI0.95",
    ],
)
def test_the_examples_of_the_text_are_names(name: str) -> None:
    assert render(parse(name)) == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SCS-2-4-10n", "SCS-2V-4-10n"),
        ("SCS-2iT-4-10n", "SCS-2Ti-4-10n"),
        ("SCS-2C-4ou-10n", "SCS-2C-4uo-10n"),
        ("SCS-2C-4-1.5n", "SCS-2C-4-1n"),
        ("SCS-2C-4-10_hwv_xen", "SCS-2C-4-10_xen_hwv"),
        ("SCS-2V-4.", "SCS-2V-4"),
        ("SCS-2V-4.0", "SCS-2V-4"),
        ("SCS-2V-04", "SCS-2V-4"),
        ("SCS-002V-4", "SCS-2V-4"),
        ("SCS-2V-4-x20", "SCS-2V-4-20"),
        ("scs-2v-4-20S", "SCS-2V-4-20s"),
        ("SCS-4V:16:100s-hwv", "SCS-4V-16-100s_hwv"),
        ("SCS-2V-4-20_fast", "SCS-2V-4-20"),
        ("SCS-16V-64_ib_GNa", "SCS-16V-64_GNa_ib"),
        ("m1.small", None),
        ("", None),
        ("SCS-2V-4\n", "SCS-2V-4"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(name: str, meant: str | None) -> None:
    with pytest.raises(BadName) as refused:
        parse(name)
    assert refused.value.nearest == meant
    assert nearest("SCS-4V-16-100ss", [f.name for f in load().flavors]) is not None


@pytest.mark.parametrize(
    ("offered", "promised", "less"),
    [
        ("SCS-1T-1-5n", "SCS-1V-1-5", ""),
        ("SCS-1C-1.5-8s", "SCS-1V-1-5", ""),
        ("SCS-2V-4-20p", "SCS-2V-4-20s", ""),
        ("SCS-2V-4-20n", "SCS-2V-4-20s", "network instead of ssd disk"),
        ("SCS-2V-4-20p", "SCS-2V-4-20n", "nvme instead of network disk"),
        ("SCS-2V-4-20", "SCS-2V-4-20n", "unspecified instead of network disk"),
        ("SCS-2L-4", "SCS-2V-4", "crowded-core instead of shared-core"),
        ("SCS-2Vi-4", "SCS-2V-4", "CPU mitigations are missing (`i`)"),
        ("SCS-2V-4u", "SCS-2V-4", "RAM without ECC (`u`)"),
        ("SCS-2V-4o", "SCS-2V-4", "RAM is oversubscribed (`o`)"),
        ("SCS-2V-4", "SCS-2Vi-4uo", ""),
        ("SCS-2V-4-100", "SCS-2V-4-3x100", "1 instead of 3 disks"),
        ("SCS-2V-4-3x100", "SCS-2V-4-100", ""),
        ("SCS-2V-4", "SCS-2V-4-", "0 instead of 1 disks"),
        ("SCS-2V-4-20", "SCS-2V-4-", ""),
        ("SCS-2V-4-20", "SCS-2V-4", ""),
        ("SCS-2V-4_a1", "SCS-2V-4", "ARM v8 or newer instead of x86-64"),
        ("SCS-2V-4_i3", "SCS-2V-4", ""),
        ("SCS-2V-4_i3", "SCS-2V-4_z3", "Intel x86-64 instead of AMD x86-64"),
        ("SCS-2V-4_i2", "SCS-2V-4_i3", "CPU generation 2 instead of 3"),
        ("SCS-2V-4_i3", "SCS-2V-4_i3h", "CPU not over 2.75 GHz on all cores"),
        ("SCS-2V-4_kvm", "SCS-2V-4_xen", "kvm instead of xen"),
        ("SCS-2V-4", "SCS-2V-4_kvm", ""),
        ("SCS-2V-4_GNa-14h", "SCS-2V-4_gNv-7", ""),
        ("SCS-2V-4_gNa", "SCS-2V-4_GNa", "virtual instead of passed-through GPU"),
        ("SCS-2V-4_GNv", "SCS-2V-4_GNa", "an older GPU generation"),
        ("SCS-2V-4", "SCS-2V-4_ib", "no Infiniband"),
        ("SCS-2V-4", "SCS-2V-4_GN", "no GPU"),
        ("SCS-2V-4", "SCS-2V-4_hwv", "no hardware virtualisation"),
    ],
)
def test_what_may_carry_which_name(offered: str, promised: str, less: str) -> None:
    assert [str(one) for one in shortfalls(parse(offered), parse(promised))] == ([less] if less else [])


@pytest.mark.parametrize(
    "impossible",
    [
        {"cpus": 0},
        {"ram_gib": 0.25},
        {"disk_gb": 10},
        {"has_disk": True, "disk_count": 3},
        {"has_disk": True, "disk_gb": 0},
        {"arch_generation": 1},
        {"arch": "r", "arch_generation": 0},
        {"arch": "a", "arch_generation": 6},
        {"arch": "i", "frequency": 4},
        {"gpu": {"pass_through": True, "vendor": "N", "generation": "z"}},
        {"gpu": {"pass_through": True, "vendor": "N", "vram_gib": 4}},
        {"gpu": {"pass_through": True, "vendor": "N", "units": 4, "fast_vram": 1}},
    ],
)
def test_the_impossible_has_no_meaning(impossible: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Meaning.model_validate({"cpus": 1, "cpu_class": "V", "ram_gib": 1} | impossible)


def test_explaining_in_plain_words() -> None:
    assert explain(parse("SCS-4C-16u-2x200p_bms_a1h_GNa-14h-24h_ib")) == (
        "4 × dedicated core, 16 GiB RAM without ECC, 2 × 200 GB disk on local fast NVMe, on bare metal, "
        "ARM v8 or newer, A76/Neoverse N1 class, over 2.75 GHz on all cores, passed-through nVidia GPU (Ampere) with "
        "14 streaming multiprocessors of high performance and 24 GiB VRAM of high bandwidth, Infiniband"
    )
