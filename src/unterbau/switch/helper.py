# SPDX-License-Identifier: Apache-2.0
"""The helper guests of a move, as a person writes them and as the plan keeps them. Pure: text in, models out.

    user: root
    key: ~/.ssh/id_ed25519
    source: {image: Debian 13, flavor: SCS-1V-2, network: app, address: public, key_pair: me, reached_from: 203.0.113.4/32}
    target: {image: Debian 13, flavor: SCS-1V-2, network: app, address: public, key_pair: me, reached_from: 203.0.113.4/32}

`cli` reads the file (`plan --helper`), `planning` looks its names up, `move.helping` makes the guests. `address` is the external
network that a floating IP is taken of, or `direct`: the guest is reached at its own address. `network` and
`image` at the target are such as the move makes there, by their names at the source, or the provider's. Not here: how a guest is asked, and what for.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Final

import yaml
from pydantic import Field, ValidationError, field_validator

from unterbau.errors import UsageError
from unterbau.tenant.kinds import Image, Kind, Network, Ref, ref
from unterbau.tenant.kinds.ground import external_by_name
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model

DIRECT: Final = "direct"
SIDES: Final = ("source", "target")
HELPS: Final[Mapping[str, Kind]] = {
    "helper group": Kind.SECURITY_GROUP, "helper port": Kind.PORT, "helper address": Kind.FLOATING_IP,
    "helper server": Kind.SERVER,
}  # fmt: skip
"""What is made for a helper, in the order of making; `<one of these> of <side>` is the name of the step."""
LARGEST = 2**16
"""Characters that the file may have."""
_HOW = "docs/move.md says what stands in it."


class Place(Model):
    """A helper guest on one side: names as a person wrote them, and the ids by which `planning` knows them."""

    image: str
    flavor: str
    network: str
    address: str
    key_pair: str
    reached_from: str
    """The only addresses that reach its port for ssh (CIDR)."""
    image_ref: Ref = ""
    network_ref: Ref = ""
    """These are of the source, also at the target: the move makes them there; or of what that side's provider has."""
    external_network_id: str = ""
    """`""`: it is reached at its own address."""

    @field_validator("reached_from")
    @classmethod
    def _narrow(cls, told: str) -> str:
        if ip_network(told).prefixlen == 0:
            raise ValueError("the whole world; name the addresses that this machine has there")
        return told


class Helper(Model):
    """Both helper guests, and how they are entered: by whom, with which file of a key, at which port."""

    user: str = Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    key: str = ""
    """The file of the private key; `""`: what the person's ssh offers by itself."""
    port: int = Field(default=22, ge=1, le=65535)
    source: Place
    target: Place

    def place(self, side: str) -> Place:
        """That of a side."""
        return self.source if side == SIDES[0] else self.target


def load(text: str, name: str) -> Helper:
    """The file called `name`. Raises UsageError: what, where."""
    if len(text) > LARGEST:
        raise UsageError(f"{name}: larger than {LARGEST} characters", _HOW)
    try:
        return Helper.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name}: it is not YAML ({str(error)[:200]})", _HOW) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{name}, {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}", _HOW) from None


def resolved(helper: Helper, source: Workload, target: Workload) -> Helper:
    """With the ids that the names stand for. Raises UsageError with the nearest name that there is."""
    return helper.model_copy(update={
        side: _placed(helper.place(side), here, source) for side, here in zip(SIDES, (source, target), strict=True)
    })  # fmt: skip


def _placed(place: Place, side: Workload, source: Workload) -> Place:
    external = external_by_name(side)
    networks = {name: ref(Kind.NETWORK, id_) for name, id_ in external.items()}
    networks |= {n.name: n.ref for n in source.of(Network) if n.name}
    images = {i.name: i.ref for i in (*source.of(Image), *side.offering.images) if i.name and i.is_filled()}
    _known(side, "flavor", place.flavor, {f.name: f.name for f in side.offering.flavors})
    return place.model_copy(update={
        "image_ref": _known(side, "image", place.image, images),
        "network_ref": _known(side, "network", place.network, networks),
        "external_network_id": "" if place.address == DIRECT else _known(side, "external network", place.address, external),
    })  # fmt: skip


def _known(side: Workload, what: str, name: str, known: Mapping[str, str]) -> str:
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)[:8]
        raise UsageError(
            f"--helper: {side.identity.name} has no {what} {name!r}", f"There are: {', '.join(near) or 'none'}."
        )
    return known[name]
