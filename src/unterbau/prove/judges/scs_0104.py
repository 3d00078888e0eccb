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
from unterbau.prove.judges.frame import Decision, Judge, View, conclude, listed, named, not_applicable, text
from unterbau.prove.judges.scs_0102 import public, reference_sees, visible
from unterbau.prove.verdicts import Finding, Fix

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
    why = "it passes where there is no such image, takes the last of one name, and CAPI names that only begin right"
    if not images:
        return not_applicable(f"there is no public image {wanted.name}").but(passes, why)
    findings = [
        view.finding(
            named("image", image),
            f"image_source is {text(image, 'image_source')!r}",
            f"it begins with {listed(list(wanted.sources))}",
            f"Register the image from there, and openstack image set --property image_source=URL {text(image, 'id')}",
            Fix(
                action="add-image",
                name=text(image, "name"),
                values={"source": wanted.sources[0], "properties": dict(wanted.properties)},
            ),
        )
        for image in images
        if not _comes_from(image, wanted.sources)
    ]
    return conclude(findings, len(images), f"{len(images)} of this name come from there", "").but(passes, why)


def presence(view: View) -> Decision:
    """A visible public image of the name is there. The list of images is what decides, even if it is empty."""
    wanted = _wanted(view, PRESENCE)
    images = [image for image in visible(view) if wanted.is_called(text(image, "name"))]
    theirs = any(_reference_calls(wanted, text(i, "name")) for i in reference_sees(view))
    findings = [] if images else [_absent(view, wanted.name, wanted.sources[0], dict(wanted.properties))]
    return conclude(findings, 1, f"{named('image', images[0])} is there" if images else "", "").but(
        theirs, "it counts community images, and CAPI names that only begin right"
    )


def _absent(view: View, name: str, source: str, properties: dict[str, str]) -> Finding:
    return view.finding(
        f"image {name}",
        "no visible public image is it",
        f"{name}, from {source}",
        f"Register it from {source} with the properties of scs-0102.",
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
    held = f"{named('image', images[0])} is {distro} {wanted.version}" if images else ""
    note = f"at {view.at:%Y-%m-%d} it is {distro} {wanted.version}, since {wanted.required}"
    return conclude(findings, 1, held, "", note)


def generic_source(view: View) -> Decision:
    """Generic images of Ubuntu and Debian come from the addresses of their release."""
    rules = view.data.images_v2
    images = [image for image in public(view) if text(image, "os_purpose") == "generic"]
    judged = [image for image in images if text(image, "os_distro") in rules.generic_sources]
    if public(view) and not judged:
        return not_applicable("there is no generic image of Ubuntu or Debian")
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
                    f"image_source is {text(image, 'image_source')!r}",
                    f"it begins with {listed(list(sources))}",
                    "Register the vendor's image, or say another os_purpose if it is not generic.",
                )
            )
    return conclude(
        findings, len(judged), f"{len(judged)} generic images come from there", "there are no public images"
    )


def capi(view: View) -> Decision:
    """Images with the name of the official Cluster-API images have their properties."""
    rules = view.data.images_v2
    images = [image for image in public(view) if re.fullmatch(rules.capi_pattern, text(image, "name"))]
    if not images:
        return not_applicable("there is no image with the name of the official Cluster-API images")
    findings = []
    for image in images:
        faults = {
            "image_source": not _comes_from(image, rules.capi_sources),
            "os_purpose": text(image, "os_purpose") != rules.capi_purpose,
            "image_description": not text(image, "image_description").startswith(rules.capi_description),
        }
        if any(faults.values()):
            required = {
                "image_source": f"begins with {rules.capi_sources[0]}",
                "os_purpose": f"is {rules.capi_purpose}",
                "image_description": f"is {rules.capi_description}",
            }
            findings.append(
                view.finding(
                    named("image", image),
                    "; ".join(f"{key} is {text(image, key)!r}" for key, bad in faults.items() if bad),
                    "; ".join(f"{key} {required[key]}" for key, bad in faults.items() if bad),
                    "Register the official image, or give this one another name.",
                )
            )
    return conclude(findings, len(images), f"{len(images)} Cluster-API images are as the official ones", "")


FAMILIES: dict[str, Judge] = {SOURCE: source, PRESENCE: presence}
JUDGES: dict[str, Judge] = {
    "scs-0104-v2-ubuntu-lts": partial(release, "ubuntu", 0),
    "scs-0104-v2-ubuntu-previous-lts": partial(release, "ubuntu", 1),
    "scs-0104-v2-debian-stable": partial(release, "debian", 0),
    "scs-0104-v2-debian-oldstable": partial(release, "debian", 1),
    "scs-0104-v2-generic-source": generic_source,
    "scs-0104-v2-capi-properties": capi,
}
