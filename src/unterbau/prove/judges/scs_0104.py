# SPDX-License-Identifier: Apache-2.0
"""scs-0104 standard images: v1 by name and origin, v2 (draft) by distribution, version and purpose, with dates.

https://docs.scs.community/standards/scs-0104-v1-standard-images and ../scs-0104-v2-standard-images. A name counts if
the whole of it matches. Only visible public images are present; of a rule about origin, every image of the name is
judged. "Image upload MUST be allowed" cannot be read and is not judged.
"""

from __future__ import annotations

import re
from functools import partial

from unterbau.prove.data import ImagesV2, NamedImage
from unterbau.prove.inventory import Item
from unterbau.prove.judges.frame import Decision, Judge, View, conclude, named, not_applicable, text
from unterbau.prove.judges.scs_0102 import public, reference_sees, visible
from unterbau.prove.verdicts import Finding, Fix
from unterbau.verdict import Reason, joined

SOURCE, PRESENCE = "scs-0104-source-", "scs-0104-image-"


def _comes_from(image: Item, sources: tuple[str, ...]) -> bool:
    return text(image, "image_source").startswith(sources)


def _reference_calls(wanted: NamedImage, name: str) -> bool:
    """The reference suite's pattern has no end."""
    return bool(re.match(wanted.pattern, name)) if wanted.pattern else name == wanted.name


def _wanted(view: View, prefix: str) -> NamedImage:
    return next(image for image in view.data.images if image.id == view.case.id.removeprefix(prefix))


def source(view: View) -> Decision:
    """Every image of the name that the case is about has a source that the standard lists."""
    wanted = _wanted(view, SOURCE)
    images = [image for image in public(view) if wanted.is_called(text(image, "name"))]
    theirs = [i for i in reference_sees(view) if _reference_calls(wanted, text(i, "name"))]
    theirs = list({text(i, "name"): i for i in theirs}.values())  # of one name the last counts
    passes = all(_comes_from(image, wanted.sources) for image in theirs)
    why = Reason.of("prove.suite.sources")
    if not images:
        return not_applicable(Reason.of("prove.image.none", name=wanted.name)).but(passes, why)
    findings = [
        view.finding(
            named("image", image),
            Reason.of("prove.key-says", key="image_source", value=text(image, "image_source")),
            Reason.of("prove.begins-with", words=list(wanted.sources)),
            Reason.of(
                "prove.image.from-there", command=f"openstack image set --property image_source=URL {text(image, 'id')}"
            ),
            Fix(
                action="add-image",
                name=text(image, "name"),
                values={"source": wanted.sources[0], "properties": dict(wanted.properties)},
            ),
        )
        for image in images
        if not _comes_from(image, wanted.sources)
    ]
    return conclude(findings, len(images), Reason.of("prove.image.from-source", count=len(images)), "").but(passes, why)


def presence(view: View) -> Decision:
    """A visible public image of the name is there. The list of images is what decides, even if it is empty."""
    wanted = _wanted(view, PRESENCE)
    images = [image for image in visible(view) if wanted.is_called(text(image, "name"))]
    theirs = any(_reference_calls(wanted, text(i, "name")) for i in reference_sees(view))
    findings = [] if images else [_absent(view, wanted.name, wanted.sources[0], dict(wanted.properties))]
    there = Reason.of("prove.image.there", image=named("image", images[0])) if images else ""
    return conclude(findings, 1, there, "").but(theirs, Reason.of("prove.suite.images"))


def _absent(view: View, name: str, source: str, properties: dict[str, str]) -> Finding:
    return view.finding(
        f"image {name}",
        Reason.of("prove.image.absent"),
        Reason.of("prove.image.required", name=name, source=source),
        Reason.of("prove.image.register", source=source),
        Fix(action="add-image", name=name, values={"source": source, "properties": dict(properties)}),
    )


# -- v2, by metadata


def _generic(view: View) -> list[Item]:
    return [image for image in visible(view) if text(image, "os_purpose") == "generic"]


def release(distro: str, back: int, view: View) -> Decision:
    """A visible generic image of the newest release (or the `back`-th before it) that counts at the date."""
    rules: ImagesV2 = view.data.images_v2
    wanted = rules.newest(distro, view.at.date(), back)
    images = [i for i in _generic(view) if (text(i, "os_distro"), text(i, "os_version")) == (distro, wanted.version)]
    properties = {"os_distro": distro, "os_version": wanted.version, "os_purpose": "generic"}
    origin = rules.generic_sources[distro][0].format(codename=wanted.codename)
    findings = [] if images else [_absent(view, f"{distro.capitalize()} {wanted.version}", origin, properties)]
    which = f"{distro} {wanted.version}"
    held = Reason.of("prove.image.release", image=named("image", images[0]), release=which) if images else ""
    note = Reason.of("prove.image.newest", day=f"{view.at:%Y-%m-%d}", release=which, since=str(wanted.required))
    return conclude(findings, 1, held, "", note)


def generic_source(view: View) -> Decision:
    """Generic images of Ubuntu and Debian come from the addresses of their release."""
    rules = view.data.images_v2
    images = [image for image in public(view) if text(image, "os_purpose") == "generic"]
    judged = [image for image in images if text(image, "os_distro") in rules.generic_sources]
    if public(view) and not judged:
        return not_applicable(Reason.of("prove.image.no-generic-of-these"))
    findings = []
    for image in judged:
        distro, version = text(image, "os_distro"), text(image, "os_version")
        names = [r.codename for r in rules.releases if (r.distro, r.version) == (distro, version)]
        sources = tuple(
            s.format(codename=names[0]) if names else s.split("{")[0] for s in rules.generic_sources[distro]
        )
        if not _comes_from(image, sources):
            findings.append(
                view.finding(
                    named("image", image),
                    Reason.of("prove.key-says", key="image_source", value=text(image, "image_source")),
                    Reason.of("prove.begins-with", words=list(sources)),
                    Reason.of("prove.image.vendors"),
                )
            )
    held = Reason.of("prove.image.generic-from-source", count=len(judged))
    return conclude(findings, len(judged), held, Reason.of("prove.no-images"))


def capi(view: View) -> Decision:
    """Images with the name of the official Cluster-API images have their properties."""
    rules = view.data.images_v2
    images = [image for image in public(view) if re.fullmatch(rules.capi_pattern, text(image, "name"))]
    if not images:
        return not_applicable(Reason.of("prove.image.no-capi"))
    findings = []
    for image in images:
        faults = {
            "image_source": not _comes_from(image, rules.capi_sources),
            "os_purpose": text(image, "os_purpose") != rules.capi_purpose,
            "image_description": not text(image, "image_description").startswith(rules.capi_description),
        }
        if any(faults.values()):
            required = {
                "image_source": Reason.of("prove.key-begins", key="image_source", value=rules.capi_sources[0]),
                "os_purpose": Reason.of("prove.key-is", key="os_purpose", value=rules.capi_purpose),
                "image_description": Reason.of("prove.key-is", key="image_description", value=rules.capi_description),
            }
            findings.append(
                view.finding(
                    named("image", image),
                    joined(
                        Reason.of("prove.key-says", key=key, value=text(image, key))
                        for key, bad in faults.items()
                        if bad
                    ),
                    joined(required[key] for key, bad in faults.items() if bad),
                    Reason.of("prove.image.official"),
                )
            )
    return conclude(findings, len(images), Reason.of("prove.image.capi-good", count=len(images)), "")


FAMILIES: dict[str, Judge] = {SOURCE: source, PRESENCE: presence}
JUDGES: dict[str, Judge] = {
    "scs-0104-v2-ubuntu-lts": partial(release, "ubuntu", 0),
    "scs-0104-v2-ubuntu-previous-lts": partial(release, "ubuntu", 1),
    "scs-0104-v2-debian-stable": partial(release, "debian", 0),
    "scs-0104-v2-debian-oldstable": partial(release, "debian", 1),
    "scs-0104-v2-generic-source": generic_source,
    "scs-0104-v2-capi-properties": capi,
}
