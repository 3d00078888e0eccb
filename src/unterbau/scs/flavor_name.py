# SPDX-License-Identifier: Apache-2.0
"""Flavor names after scs-0100-v3.3: parse, render, explain, mend, compare. Pure.

`prove.judges` read flavors with it; `planning` asks it whether one flavor `provides_at_least` another.
It knows names only: what a flavor really has, Nova says. Written from the standard's text
(https://docs.scs.community/standards/scs-0100-v3-flavor-naming); the grammar, where N is a whole number from 1
without leading zeros (and, for us, of at most nine digits):

    name  = "SCS-" N ("L"|"V"|"T"|"C") ["i"] "-" ram ["u"] ["o"] ["-" [disk]] [hyp] ["_hwv"] [arch] [gpu] ["_ib"]
    ram   = N | (N|"0") ".5"                                    GiB
    disk  = [[N "x"] N] ["n"|"h"|"s"|"p"]                       GB; empty: the cloud picks size and type
    hyp   = "_" ("kvm"|"chy"|"xen"|"vmw"|"hyv"|"bms")
    arch  = "_" ("i"|"z"|"a"|"r") [generation] ["h"|"hh"|"hhh"]
    gpu   = "_" ("G"|"g") ("N"|"A"|"I") [generation] ["-" N "h"* ["-" N "h"*]]      units, VRAM in GiB

Where the text is ambiguous we accept: units without a generation (`_GN-14`: the prose calls both optional, the
bracket form does not). Where it is silent about spelling we demand one spelling (no `4.0`, no `04`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from pydantic import model_validator

from unterbau.errors import UsageError
from unterbau.verdict import Model, Reason

CpuClass = Literal["L", "V", "T", "C"]
DiskType = Literal["n", "h", "s", "p"]
Hypervisor = Literal["kvm", "chy", "xen", "vmw", "hyv", "bms"]
Arch = Literal["i", "z", "a", "r"]
GpuVendor = Literal["N", "A", "I"]

CPU_CLASSES: dict[CpuClass, str] = {
    "L": "heavily oversubscribed vCPU",
    "V": "oversubscribed vCPU (at least 20 % of a core in more than 99 % of the time)",
    "T": "dedicated thread",
    "C": "dedicated core",
}
"""From the weakest to the strongest."""
CPU_TYPES: dict[CpuClass, str] = {
    "L": "crowded-core",
    "V": "shared-core",
    "T": "dedicated-thread",
    "C": "dedicated-core",
}
"""The value of `scs:cpu-type` (scs-0103)."""
DISK_TYPES: dict[DiskType, str] = {"n": "network", "h": "hdd", "s": "ssd", "p": "nvme"}
"""The value of `scs:diskN-type` (scs-0103)."""
_DISK_WORDS: dict[DiskType, str] = {
    "n": "network storage",
    "h": "local hard disk",
    "s": "local SSD",
    "p": "local fast NVMe",
}
_HYPERVISORS: dict[Hypervisor, str] = {
    "kvm": "KVM",
    "chy": "Cloud Hypervisor",
    "xen": "Xen",
    "vmw": "VMware",
    "hyv": "Hyper-V",
    "bms": "bare metal",
}
_ARCHS: dict[Arch, tuple[str, tuple[str, ...]]] = {
    "i": (
        "Intel x86-64",
        (
            "before Skylake",
            "Skylake",
            "Cascade Lake",
            "Ice Lake",
            "Sapphire Rapids",
            "Sierra Forest (E cores)",
            "Granite Rapids (P cores)",
        ),
    ),
    "z": (
        "AMD x86-64",
        (
            "before Zen",
            "Zen 1 (Naples)",
            "Zen 2 (Rome)",
            "Zen 3 (Milan)",
            "Zen 4 (Genoa)",
            "Zen 5 (Turin)",
            "Zen 6 (Venice)",
        ),
    ),
    "a": (
        "ARM v8 or newer",
        (
            "before Cortex-A76",
            "A76/Neoverse N1 class",
            "A78/Neoverse V1 class",
            "A71x/Neoverse N2 class",
            "AmpereOne",
            "A72x/Neoverse N3 class",
        ),
    ),
    "r": ("RISC-V", ()),
}
_GHZ = (0, 2.75, 3.25, 3.75)
_FREQUENCIES = ("", *(f"over {ghz} GHz on all cores" for ghz in _GHZ[1:]))
_GPU_VENDORS: dict[GpuVendor, tuple[str, str, dict[str, str]]] = {
    "N": (
        "nVidia",
        "streaming multiprocessors",
        {
            "f": "Fermi",
            "k": "Kepler",
            "m": "Maxwell",
            "p": "Pascal",
            "v": "Volta",
            "t": "Turing",
            "a": "Ampere",
            "l": "Ada Lovelace",
            "g": "Grace Hopper",
            "b": "Blackwell",
            "u": "Blackwell Ultra",
        },
    ),
    "A": (
        "AMD",
        "compute units",
        {
            "0.4": "GCN 4",
            "0.5": "GCN 5",
            **{g: f"CDNA {g}" for g in ("1", "2", "3", "4")},
            **{f"{g}.1": f"RDNA {g}" for g in ("1", "2", "3", "4", "5")},
            "3.5": "RDNA 3.5",
        },
    ),
    "I": (
        "Intel",
        "execution units",
        {
            "0.9": "Gen 9",
            "0.95": "Gen 9.5",
            "1": "Xe 12.1 (DG1)",
            "2": "Xe 12.2",
            "3": "Arc 12.7 (DG2)",
            "4": "Battlemage 20.0",
        },
    ),
}
"""Vendor -> name, word for its units, generations; names after the tables of scs-0100-v3."""


def cpu_generations(vendor: str) -> tuple[str, ...]:
    """The names of a CPU vendor's generations, from 0; empty for an unknown vendor."""
    return next((names for letter, (_, names) in _ARCHS.items() if letter == vendor), ())


def gpu_generations(vendor: str) -> frozenset[str]:
    """The generations that a GPU vendor's letter allows; empty for an unknown vendor."""
    return next((frozenset(known) for letter, (_, _, known) in _GPU_VENDORS.items() if letter == vendor), frozenset())


class BadName(UsageError):
    """The name does not follow the grammar. `at`: the first character that cannot be read; `nearest`: a proposal."""

    def __init__(self, name: str, why: Reason, at: int, nearest: str | None) -> None:
        super().__init__(
            f"{name!r} is no SCS flavor name: {why}",
            f"The nearest name is {nearest}." if nearest else "See scs-0100-v3 for the grammar.",
        )
        self.why = why
        self.at = at
        self.nearest = nearest


class Gpu(Model):
    """A graphics processor: passed through (`G`) or virtual (`g`)."""

    pass_through: bool
    vendor: GpuVendor
    generation: str | None = None
    units: int | None = None
    fast_units: int = 0
    """How many `h` follow the units."""
    vram_gib: int | None = None
    fast_vram: int = 0

    @model_validator(mode="after")
    def _is_possible(self) -> Gpu:
        if self.generation is not None and self.generation not in _GPU_VENDORS[self.vendor][2]:
            raise ValueError(f"{_GPU_VENDORS[self.vendor][0]} has no generation {self.generation}")
        if (self.fast_units or self.vram_gib) and not self.units:
            raise ValueError("without units neither h nor VRAM")
        if self.fast_vram and not self.vram_gib:
            raise ValueError("no h without VRAM")
        return self


class Meaning(Model):
    """What a flavor name says. A name promises *at least* this."""

    cpus: int
    cpu_class: CpuClass
    insecure: bool = False
    """Mitigations or microcode missing (`i`)."""
    ram_gib: float
    """Multiples of 0.5."""
    no_ecc: bool = False
    oversubscribed: bool = False
    """The RAM is (`o`)."""
    has_disk: bool = False
    """False: bring a boot volume."""
    disk_count: int | None = None
    """None: nothing said, one."""
    disk_gb: int | None = None
    """None with a disk: the cloud picks the size."""
    disk_type: DiskType | None = None
    hypervisor: Hypervisor | None = None
    hw_virtualisation: bool = False
    arch: Arch | None = None
    """None: generic x86-64."""
    arch_generation: int | None = None
    frequency: int = 0
    """0 to 3: how many `h`."""
    gpu: Gpu | None = None
    infiniband: bool = False

    @property
    def disks(self) -> int:
        """How many disks come with it."""
        return (self.disk_count or 1) if self.has_disk else 0

    @model_validator(mode="after")
    def _is_possible(self) -> Meaning:
        if self.cpus < 1 or self.ram_gib <= 0 or (self.ram_gib * 2) % 1:
            raise ValueError("at least one CPU, and RAM in multiples of 0.5 GiB")
        if not self.has_disk and (self.disk_count or self.disk_gb or self.disk_type):
            raise ValueError("properties of a disk without a disk")
        if self.disk_count is not None and (self.disk_gb is None or self.disk_count < 1):
            raise ValueError("several disks need a size")
        if self.disk_gb is not None and self.disk_gb < 1:
            raise ValueError("a disk has at least 1 GB")
        if self.arch is None and (self.arch_generation is not None or self.frequency):
            raise ValueError("a generation or a frequency needs a vendor")
        if self.arch and self.arch_generation is not None and self.arch_generation >= len(_ARCHS[self.arch][1]):
            raise ValueError(f"{_ARCHS[self.arch][0]} has no generation {self.arch_generation}")
        if not 0 <= self.frequency <= 3:
            raise ValueError("at most three h")
        return self


_NUMBER = "[1-9][0-9]{0,8}"
_GPU_GENERATIONS = "|".join(
    rf"(?:{vendor}(?:{'|'.join(re.escape(g) for g in sorted(gens, key=len, reverse=True))})?)"
    for vendor, (_, _, gens) in _GPU_VENDORS.items()
)
_PARTS: tuple[tuple[Reason, str], ...] = (
    (Reason.of("flavor-name.part.prefix"), r"SCS-"),
    (Reason.of("flavor-name.part.cpus"), rf"(?P<cpus>{_NUMBER})"),
    (Reason.of("flavor-name.part.suffix"), r"(?P<cpu_class>[LVTC])(?P<insecure>i?)"),
    (Reason.of("flavor-name.part.ram"), rf"-(?P<ram>{_NUMBER}(?:\.5)?|0\.5)(?![0-9.])(?P<no_ecc>u?)(?P<over>o?)"),
    (
        Reason.of("flavor-name.part.disk"),
        rf"(?:(?P<disk>-)(?:(?:(?P<count>{_NUMBER})x)?(?P<gb>{_NUMBER}))?(?P<disk_type>[nhsp]?)(?![0-9A-Za-z.]))?",
    ),
    (Reason.of("flavor-name.part.hypervisor"), r"(?:_(?P<hyp>kvm|chy|xen|vmw|hyv|bms)(?![0-9A-Za-z]))?"),
    (Reason.of("flavor-name.part.virtualisation"), r"(?P<hwv>_hwv(?![0-9A-Za-z]))?"),
    (
        Reason.of("flavor-name.part.vendor"),
        r"(?:_(?:(?P<x86>[iz])(?P<x86_gen>[0-6]?)|(?P<arm>a)(?P<arm_gen>[0-5]?)|(?P<risc>r))(?P<freq>h{0,3})(?![0-9A-Za-z]))?",
    ),
    (
        Reason.of("flavor-name.part.gpu"),
        rf"(?:_(?P<gpu>[Gg])(?P<gpu_gen>{_GPU_GENERATIONS})(?![0-9A-Za-z.])"
        rf"(?:-(?P<units>{_NUMBER})(?P<units_h>h*)(?:-(?P<vram>{_NUMBER})(?P<vram_h>h*))?)?)?",
    ),
    (Reason.of("flavor-name.part.infiniband"), r"(?P<ib>_ib)?"),
)
_NAME = re.compile("".join(pattern for _, pattern in _PARTS))


@lru_cache(maxsize=4096)
def parse(name: str) -> Meaning:
    """The meaning of a name in the spelling of v2 and v3. Raises BadName."""
    match = _NAME.fullmatch(name)
    if match is None:
        why, at = _reason(name)
        raise BadName(name, why, at, nearest(name))
    return _meaning(match)


def is_valid(name: str) -> bool:
    """Whether `parse` would succeed."""
    return _NAME.fullmatch(name) is not None


def _meaning(match: re.Match[str]) -> Meaning:
    part = match.groupdict()
    generation = part["x86_gen"] or part["arm_gen"] or None
    return Meaning(
        cpus=int(part["cpus"]),
        cpu_class=part["cpu_class"],
        insecure=bool(part["insecure"]),
        ram_gib=float(part["ram"]),
        no_ecc=bool(part["no_ecc"]),
        oversubscribed=bool(part["over"]),
        has_disk=bool(part["disk"]),
        disk_count=_int(part["count"]),
        disk_gb=_int(part["gb"]),
        disk_type=part["disk_type"] or None,
        hypervisor=part["hyp"],
        hw_virtualisation=bool(part["hwv"]),
        arch=part["x86"] or part["arm"] or part["risc"],
        arch_generation=_int(generation),
        frequency=len(part["freq"] or ""),
        gpu=_gpu(part) if part["gpu"] else None,
        infiniband=bool(part["ib"]),
    )


def _gpu(part: dict[str, str | None]) -> Gpu:
    vendor = part["gpu_gen"] or ""
    return Gpu.model_validate(
        {
            "pass_through": part["gpu"] == "G",
            "vendor": vendor[0],
            "generation": vendor[1:] or None,
            "units": _int(part["units"]),
            "fast_units": len(part["units_h"] or ""),
            "vram_gib": _int(part["vram"]),
            "fast_vram": len(part["vram_h"] or ""),
        }
    )


def _int(text: str | None) -> int | None:
    return int(text) if text else None


def _reason(name: str) -> tuple[Reason, int]:
    """The first part that cannot be read, and where."""
    at = 0
    for part, pattern in _PARTS:
        match = re.compile(pattern).match(name, at)
        if match is None:
            return Reason.of("flavor-name.unreadable", part=part, at=name[at:]), at
        at = match.end()
    return Reason.of("flavor-name.left-over", rest=name[at:]), at


def _gib(ram: float) -> str:
    return f"{ram:.3f}".rstrip("0").rstrip(".")


def render(meaning: Meaning) -> str:
    """The name that says exactly this: `render(parse(name)) == name` for each valid name."""
    m = meaning
    parts = [f"SCS-{m.cpus}{m.cpu_class}{'i' * m.insecure}-{_gib(m.ram_gib)}{'u' * m.no_ecc}{'o' * m.oversubscribed}"]
    if m.has_disk:
        count = f"{m.disk_count}x" if m.disk_count else ""
        parts.append(f"-{count}{m.disk_gb or ''}{m.disk_type or ''}")
    if m.hypervisor:
        parts.append(f"_{m.hypervisor}")
    parts.append("_hwv" * m.hw_virtualisation)
    if m.arch:
        generation = "" if m.arch_generation is None else str(m.arch_generation)
        parts.append(f"_{m.arch}{generation}{'h' * m.frequency}")
    if m.gpu:
        parts.append(_render_gpu(m.gpu))
    parts.append("_ib" * m.infiniband)
    return "".join(parts)


def _render_gpu(gpu: Gpu) -> str:
    text = f"_{'G' if gpu.pass_through else 'g'}{gpu.vendor}{gpu.generation or ''}"
    if gpu.units:
        text += f"-{gpu.units}{'h' * gpu.fast_units}"
    if gpu.vram_gib:
        text += f"-{gpu.vram_gib}{'h' * gpu.fast_vram}"
    return text


def short(meaning: Meaning) -> str:
    """The short name that clouds are expected to offer too: without hypervisor, x86 vendor, generation, `h`."""
    arch = meaning.arch if meaning.arch in ("a", "r") else None
    gpu = meaning.gpu and meaning.gpu.model_copy(update={"fast_units": 0, "fast_vram": 0})
    dropped = {"hypervisor": None, "hw_virtualisation": False, "arch": arch, "frequency": 0, "gpu": gpu}
    if arch is None:
        dropped["arch_generation"] = None
    return render(meaning.model_copy(update=dropped))


def explain(meaning: Meaning) -> str:
    """The name in plain words: one sentence."""
    m = meaning
    words = [f"{m.cpus} × {CPU_CLASSES[m.cpu_class]}{', without all CPU mitigations' * m.insecure}"]
    ram = f"{_gib(m.ram_gib)} GiB RAM"
    ram += " without ECC" * m.no_ecc + " and" * (m.no_ecc and m.oversubscribed) + " oversubscribed" * m.oversubscribed
    words += [ram, _explain_disk(m)]
    if m.hypervisor:
        words.append(f"on {_HYPERVISORS[m.hypervisor]}")
    if m.hw_virtualisation:
        words.append("with hardware virtualisation inside")
    words.append(_explain_arch(m))
    if m.gpu:
        words.append(_explain_gpu(m.gpu))
    if m.infiniband:
        words.append("Infiniband")
    return ", ".join(words)


def _explain_disk(m: Meaning) -> str:
    if not m.has_disk:
        return "no disk (boot from a volume)"
    size = "a disk of a size that the cloud picks" if m.disk_gb is None else f"{m.disks} × {m.disk_gb} GB disk"
    return f"{size} on {_DISK_WORDS[m.disk_type] if m.disk_type else 'storage that the cloud picks'}"


def _explain_arch(m: Meaning) -> str:
    if m.arch is None:
        return "generic x86-64"
    name, generations = _ARCHS[m.arch]
    words = name if m.arch_generation is None else f"{name}, {generations[m.arch_generation]}"
    return f"{words}, {_FREQUENCIES[m.frequency]}" if m.frequency else words


def _explain_gpu(gpu: Gpu) -> str:
    vendor, unit, generations = _GPU_VENDORS[gpu.vendor]
    words = f"{'passed-through' if gpu.pass_through else 'virtual'} {vendor} GPU"
    if gpu.generation:
        words += f" ({generations[gpu.generation]})"
    if gpu.units:
        words += f" with {gpu.units} {unit}{' of high performance' * bool(gpu.fast_units)}"
    if gpu.vram_gib:
        words += f" and {gpu.vram_gib} GiB VRAM{' of high bandwidth' * bool(gpu.fast_vram)}"
    return words


# -- the old spelling


def to_v2(name: str) -> str:
    """A v1 spelling (`SCS-4V:16:100s-hwv`) in v2's: `:` becomes `-`, `-` becomes `_`, the prefix stays."""
    head, rest = name[:4], name[4:]
    return head + rest.replace("-", "_").replace(":", "-")


def to_v1(name: str) -> str:
    """A v2 spelling in v1's: the way back."""
    head, rest = name[:4], name[4:]
    return head + rest.replace("-", ":").replace("_", "-")


def is_v1(name: str) -> bool:
    """Whether this is a valid name in the spelling of v1 (recognised by its colons)."""
    return name.startswith("SCS-") and ":" in name and "_" not in name and is_valid(to_v2(name))


def parse_any(name: str) -> Meaning:
    """`parse`, which also reads the spelling of v1. Raises BadName."""
    return parse(to_v2(name)) if is_v1(name) else parse(name)


# -- the nearest name

_LENIENT = re.compile(
    r"\s*(?:scs)?[-_: ]*0*(?P<cpus>[1-9][0-9]*) *(?P<c1>[iI]?)(?P<class>[lvtcLVTC]?)(?P<c2>[iI]?)"
    r"[-_: ]+0*(?P<ram>[0-9]+(?:[.,][0-9]*)?) *(?:gib?|gb?)?(?P<flags>[uoUO]{0,2})"
    r"(?P<disk>[-: ]+(?:(?:0*(?P<count>[1-9][0-9]*))?[xX])?(?:0*(?P<gb>[1-9][0-9]*)(?:\.[0-9]+)?)? *(?P<type>[nhspNHSP]?))?"
    r"(?P<rest>[-_:].*)?\s*",
    re.IGNORECASE,
)
_REST: tuple[str, ...] = (
    r"_(?:kvm|chy|xen|vmw|hyv|bms)",
    r"_hwv",
    r"_(?:[iz][0-6]?|a[0-5]?|r)h{0,3}",
    rf"_[Gg](?:{_GPU_GENERATIONS})(?![0-9A-Za-z.])(?:-{_NUMBER}h*(?:-{_NUMBER}h*)?)?",
    r"_ib",
)


def nearest(name: str, known: Iterable[str] = ()) -> str | None:
    """A valid name that the writer may have meant; None if nothing is near.

    First the name is read leniently (case, leading zeros, order of suffixes and extensions, v1's spelling);
    if that fails, the most alike of `known` is proposed.
    """
    if is_v1(name):
        return to_v2(name)
    candidate = _mended(name)
    if candidate:
        return candidate
    close = difflib.get_close_matches(name, [k for k in known if is_valid(k)], n=1, cutoff=0.75)
    return close[0] if close else None


def _mended(name: str) -> str | None:
    match = _LENIENT.fullmatch(name)
    if match is None:
        return None
    part = match.groupdict()
    half = Fraction(part["ram"].replace(",", ".").rstrip(".")) * 2
    ram = float(max(1, int(half))) / 2
    flags = part["flags"].lower()
    insecure = "i" if part["c1"] or part["c2"] else ""
    head = f"SCS-{part['cpus']}{(part['class'] or 'V').upper()}{insecure}-{_gib(ram)}{'u' * ('u' in flags)}{'o' * ('o' in flags)}"
    disk = ""
    if part["disk"]:
        count = f"{part['count']}x" if part["count"] and part["gb"] else ""
        disk = f"-{count}{part['gb'] or part['count'] or ''}{(part['type'] or '').lower()}"
    rest = re.split(r"_", (part["rest"] or "").replace(":", "-"))
    kept = [next((f"_{r}" for r in rest if r and re.fullmatch(p, f"_{r}")), "") for p in _REST]
    candidate = head + disk + "".join(kept)
    return candidate if is_valid(candidate) else None


# -- comparing

_MATCHING_DISKS: dict[DiskType, str] = {"n": "n", "h": "hsp", "s": "sp", "p": "p"}
"""What fulfils a promised disk type. Network storage survives a node, local disks do not: neither replaces the other."""


def provides_at_least(offered: Meaning, promised: Meaning) -> bool:
    """Whether a flavor that has `offered` may carry the name that says `promised`."""
    return not shortfalls(offered, promised)


def shortfalls(offered: Meaning, promised: Meaning) -> tuple[Reason, ...]:
    """Each point in which `offered` gives less than `promised`; empty: understated or equal."""
    o, p = offered, promised
    order = list(CPU_CLASSES)
    less: list[tuple[bool, Callable[[], Reason]]] = [
        (o.cpus < p.cpus, lambda: Reason.of("flavor-name.cpus", offered=o.cpus, promised=p.cpus)),
        (
            order.index(o.cpu_class) < order.index(p.cpu_class),
            lambda: _instead(CPU_TYPES[o.cpu_class], CPU_TYPES[p.cpu_class]),
        ),
        (o.insecure and not p.insecure, lambda: Reason.of("flavor-name.insecure")),
        (
            o.ram_gib < p.ram_gib,
            lambda: Reason.of("flavor-name.ram", offered=_gib(o.ram_gib), promised=_gib(p.ram_gib)),
        ),
        (o.no_ecc and not p.no_ecc, lambda: Reason.of("flavor-name.no-ecc")),
        (o.oversubscribed and not p.oversubscribed, lambda: Reason.of("flavor-name.oversubscribed")),
        (o.disks < p.disks, lambda: Reason.of("flavor-name.disks", offered=o.disks, promised=p.disks)),
        (
            p.disk_gb is not None and (o.disk_gb or 0) < p.disk_gb,
            lambda: Reason.of("flavor-name.disk-size", offered=o.disk_gb or 0, promised=p.disk_gb),
        ),
        (
            p.disk_type is not None and (o.disk_type or "?") not in _MATCHING_DISKS[p.disk_type],
            lambda: Reason.of(
                "flavor-name.disk-type",
                offered=DISK_TYPES[o.disk_type] if o.disk_type else Reason.of("flavor-name.unspecified"),
                promised=DISK_TYPES[p.disk_type] if p.disk_type else "",
            ),
        ),
        (
            p.hypervisor is not None and (o.hypervisor or "kvm") != p.hypervisor,
            lambda: _instead(o.hypervisor or "kvm", p.hypervisor or ""),
        ),
        (p.hw_virtualisation and not o.hw_virtualisation, lambda: Reason.of("flavor-name.no-virtualisation")),
        (p.infiniband and not o.infiniband, lambda: Reason.of("flavor-name.no-infiniband")),
    ]
    return tuple(told() for bad, told in less if bad) + _arch_shortfalls(o, p) + _gpu_shortfalls(o.gpu, p.gpu)


def _instead(offered: str | Reason, promised: str) -> Reason:
    return Reason.of("flavor-name.instead", offered=offered, promised=promised)


def _arch_shortfalls(o: Meaning, p: Meaning) -> tuple[Reason, ...]:
    if p.arch is None:
        return () if o.arch in (None, "i", "z") else (_instead(_ARCHS[o.arch][0], "x86-64"),)
    if o.arch != p.arch:
        generic = Reason.of("flavor-name.generic")
        return (_instead(_ARCHS[o.arch][0] if o.arch else generic, _ARCHS[p.arch][0]),)
    less = []
    if (o.arch_generation or 0) < (p.arch_generation or 0):
        less.append(Reason.of("flavor-name.generation", offered=o.arch_generation or 0, promised=p.arch_generation))
    if o.frequency < p.frequency:
        less.append(Reason.of("flavor-name.frequency", ghz=_GHZ[p.frequency]))
    return tuple(less)


def _gpu_shortfalls(o: Gpu | None, p: Gpu | None) -> tuple[Reason, ...]:
    if p is None:
        return ()
    if o is None:
        return (Reason.of("flavor-name.no-gpu"),)
    if o.vendor != p.vendor:
        vendors = _GPU_VENDORS[o.vendor][0], _GPU_VENDORS[p.vendor][0]
        return (Reason.of("flavor-name.gpu-vendor", offered=vendors[0], promised=vendors[1]),)
    age = list(_GPU_VENDORS[p.vendor][2])
    offered_age = age.index(o.generation) if o.generation else -1
    older = p.generation is not None and offered_age < age.index(p.generation or age[0])
    less = [
        (p.pass_through and not o.pass_through, Reason.of("flavor-name.virtual-gpu")),
        (older, Reason.of("flavor-name.older-gpu")),
        (
            (o.units or 0) < (p.units or 0),
            Reason.of("flavor-name.gpu-units", offered=o.units or 0, promised=p.units or 0),
        ),
        (o.fast_units < p.fast_units, Reason.of("flavor-name.slower-units")),
        (
            (o.vram_gib or 0) < (p.vram_gib or 0),
            Reason.of("flavor-name.vram", offered=o.vram_gib or 0, promised=p.vram_gib or 0),
        ),
        (o.fast_vram < p.fast_vram, Reason.of("flavor-name.slower-vram")),
    ]
    return tuple(told for bad, told in less if bad)
