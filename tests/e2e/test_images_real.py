# SPDX-License-Identifier: Apache-2.0
"""`unterbau images` as a person calls it, between a vendor on this machine and a real cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from people import somebody
from vendor import FILE, Vendor, disk, vendor

from unterbau import schemas, wiring
from unterbau.tenant.kinds import Image, Kind

pytestmark = [
    pytest.mark.cloud,
    # openstacksdk, with which people are made, warns about itself in several ways.
    pytest.mark.filterwarnings("ignore"),
]
ONE, TWO = disk(b"the first build"), disk(b"the second build", gib=3)


@pytest.fixture
def shop(target_cloud: str, tmp_path: Path) -> Iterator[Vendor]:
    """A vendor with one build, and in tmp_path a clouds.yaml with `ours`: a project of somebody's own."""
    with vendor(tmp_path) as one, somebody(target_cloud) as person:
        one.publish(ONE)
        one.catalogue(tmp_path / "catalogue.yaml")
        config = person.config.config
        auth = {k: v for k, v in config["auth"].items() if v} | {"project_id": person.current_project_id}
        entry = {"auth": auth, "cacert": config["cacert"], "region_name": person.config.get_region_name()}
        (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"ours": entry}}))
        yield one
        for image in person.image.images(owner=person.current_project_id):
            person.image.delete_image(image)
        for image in person.image.images(owner=person.current_project_id, is_hidden=True):
            person.image.delete_image(image)


def images(home: Path, shop: Vendor, verb: str, *more: str) -> tuple[int, Any, str]:
    """Exit code, JSON, and what stands on standard error."""
    environ = {**os.environ, "XDG_STATE_HOME": str(home / "state"), "SSL_CERT_FILE": str(shop.authority)}
    environ |= {"OS_CLIENT_CONFIG_FILE": str(home / "clouds.yaml")}
    command = [sys.executable, "-m", "unterbau", "images", verb, "ours", *more, "--format", "json", "-q"]
    done = subprocess.run(
        [*command, "--catalogue", str(home / "catalogue.yaml")], capture_output=True, text=True, check=False, env=environ,
        cwd=home,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout), done.stderr


def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Image]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(home / "clouds.yaml"))
    found = wiring.open_cloud("ours").listing(Kind.IMAGE).resources
    return {i.name: i for i in found if isinstance(i, Image)}


def test_an_image_comes_from_its_vendor_into_a_real_cloud_and_is_renewed(
    shop: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path
    shop.publish(ONE, "1" * 64)
    code, told, said = images(home, shop, "add", "gast")
    assert (code, told["error"]) == (1, "Failed") and "other bytes came" in said and there(home, monkeypatch) == {}
    shop.publish(ONE)
    code, told, said = images(home, shop, "add", "gast", "--visibility", "public")
    assert code == 4 and told["error"] == "Forbidden", said

    code, told, said = images(home, shop, "add", "gast")
    assert code == 3, said  # nobody signed it
    jsonschema.validate(told, schemas.schema("images-made"))
    (first,) = there(home, monkeypatch).values()
    assert (first.name, first.visibility, first.hidden, first.marker) == ("Gast 1", "private", False, None)
    assert (first.min_disk_gib, first.properties["image_source"]) == (2, shop.url(f"gast/{FILE}"))
    with wiring.open_cloud("ours").image_bytes(first.id) as stream:
        assert b"".join(stream) == ONE

    shop.publish(TWO)
    code, told, said = images(home, shop, "sync")
    assert code == 3, said
    found = there(home, monkeypatch)
    assert found.keys() == {"Gast 1", "Gast 1 20261102"}
    old, new = found["Gast 1 20261102"], found["Gast 1"]
    assert (old.id, old.hidden, new.hidden, new.marker) == (first.id, True, False, None)
    assert (told["images"][0]["did"], told["images"][0]["retired"]) == ("renewed", [first.id])
    code, told, said = images(home, shop, "sync")
    assert (code, told["images"][0]["did"]) == (3, "current"), said

    code, told, said = images(home, shop, "list")
    jsonschema.validate(told, schemas.schema("images"))
    assert code == 0 and {i["id"] for i in told["images"][0]["there"]} == {old.id, new.id}
