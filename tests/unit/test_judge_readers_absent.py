# SPDX-License-Identifier: Apache-2.0
"""What an input names although it does not run: nothing of it becomes a part. And what could not be seen is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from unterbau import stack as readers
from unterbau.errors import UsageError
from unterbau.stack.model import Stack


def read(folder: Path, name: str, content: str | Mapping[str, Any]) -> Stack:
    """The stack in a file of this name and content."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return readers.read(path)


def told(stack: Stack) -> dict[str, str | None]:
    """Versions by name."""
    return {p.name: p.version for p in stack.parts}


STORE = "/nix/store/0c0nyzq0c0nyzq0c0nyzq0c0nyzq0c0n-"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("ii  bash 5.2 amd64 x\nrc  redis-server 5:7.0 amd64 removed\nun  awk <none> <none> (none)\nhi  vim 9 amd64 held\n",
         {"bash": "5.2", "vim": "9"}),
        ("Listing... Done\nbash/stable,now 5.2 amd64 [installed]\nredis/stable 5:7.0 amd64\n"
         "vim/stable 9.1 amd64 [upgradable from: 9.0]\ngone/now 1.0 amd64 [residual-config]\n", {"bash": "5.2", "vim": "9.0"}),
        ("Auflistung…\nbash/stable,now 5.2 amd64 [Installiert,automatisch]\nredis/stable 5:7.0 amd64\n", {"bash": "5.2"}),
        ("bash/stable 5.2 amd64\nredis/stable 7.0 amd64\n", {"bash": "5.2", "redis": "7.0"}),  # marks cut off: unknown
        ("Installed Packages\nbash.x86_64 5.1-9.el9 @anaconda\nAvailable Packages\nredis.x86_64 6.2-1.el9 appstream\n",
         {"bash": "5.1-9.el9"}),
        ("Available packages\nredis.x86_64 6.2-1.fc42 fedora\nInstalled packages\nbash.x86_64 5.2-1.fc42 fedora\n",
         {"bash": "5.2-1.fc42"}),
        ("musl-1.2.5-r0 x86_64 {musl} (MIT) [installed]\nredis-7.2-r0 x86_64 {redis} (BSD-3-Clause)\n", {"musl": "1.2.5-r0"}),
        (f"{STORE}glibc-2.40-66\n{STORE}glibc-2.40-66-bin\n{STORE}openssl-3.3.2-dev\n", {"glibc": "2.40-66", "openssl": "3.3.2"}),
    ],
)  # fmt: skip
def test_a_list_also_names_what_is_not_installed(tmp_path: Path, content: str, expected: dict[str, str | None]) -> None:
    stack = read(tmp_path, "list.txt", content)
    assert told(stack) == expected
    assert not stack.unread


def test_derivations_are_told(tmp_path: Path) -> None:
    stack = read(tmp_path, "list.txt", f"{STORE}redis-7.2.7.drv\n{STORE}redis-7.2.7\n")
    assert told(stack) == {"redis": "7.2.7"}
    assert "1 derivations" in stack.unread[0].reason


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ({"status": "forbidden", "reason": "image: 403"}, "not seen: forbidden image: 403"),
        (None, "not seen: nobody asked for it"),
        ({"status": "absent"}, ""),
        ({"status": "seen", "items": [{"name": "x"}]}, "the image x does not tell its operating system (os_distro)"),
    ],
)
def test_what_was_not_seen_of_a_cloud_is_told(tmp_path: Path, images: Mapping[str, Any] | None, reason: str) -> None:
    seen = {"catalog": {"status": "seen", "items": [{"type": "compute", "name": "nova"}]}}
    sections = seen if images is None else {**seen, "images": images}
    stack = read(tmp_path, "saved.json", {"format": "unterbau-inventory/1", "sections": sections})
    assert told(stack) == {"nova": None}
    assert [u.reason for u in stack.unread] == [r for r in [reason] if r]


def test_constraints_pin_and_install_nothing(tmp_path: Path) -> None:
    (tmp_path / "upper-constraints.txt").write_text("Nova_Client===18.0\nunused===1\n", encoding="utf-8")
    asked = "-c upper-constraints.txt\nnova-client\nredis>=4\n-c gone.txt\n-chttps://me:s3cr3t@x.example/c.txt\n"
    stack = read(tmp_path, "requirements.txt", asked)
    assert told(stack) == {"nova-client": "18.0", "redis": None}
    assert stack.parts[0].purl == "pkg:pypi/nova-client@18.0"
    assert len(stack.unread) == 2
    assert "s3cr3t" not in repr(stack)
    alone = readers.read(tmp_path / "upper-constraints.txt")
    assert "not shown" in alone.unread[0].reason


def test_a_deployment_keeps_former_revisions(tmp_path: Path) -> None:
    def replicas(image: str, number: int, *, owned: bool) -> dict[str, Any]:
        owners = [{"kind": "Deployment", "name": "cache"}] if owned else []
        pod = {"containers": [{"name": "a", "image": image}]}
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": image, "ownerReferences": owners},
                "spec": {"replicas": number, "template": {"spec": pod}}}  # fmt: skip

    items = [replicas("a:1", 0, owned=True), replicas("a:2", 2, owned=True), replicas("b:1", 0, owned=False)]
    stack = read(tmp_path, "dump.json", {"apiVersion": "v1", "kind": "List", "items": items})
    assert [(p.name.rpartition("/")[2], p.version) for p in stack.parts] == [("a", "2"), ("b", "1")]
    assert not stack.unread


def test_what_is_for_development_is_told(tmp_path: Path) -> None:
    packages = {"": {}, "node_modules/vite": {"version": "5.0.0", "dev": True}, "node_modules/a": {"version": "1.0.0"}}
    stack = read(tmp_path, "package-lock.json", {"lockfileVersion": 3, "packages": packages})
    assert ["development" in p.where[0].spot for p in stack.parts] == [True, False]


def test_compose_as_json_and_what_is_reset(tmp_path: Path) -> None:
    stack = read(tmp_path, "compose.json", {"name": "x", "services": {"db": {"image": "postgres:16"}}})
    assert told(stack) == {"docker.io/library/postgres": "16"}
    stack = read(tmp_path, "compose.yaml", "services:\n  a:\n    image: !reset null\n    build: .\n")
    assert not stack.parts


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("services: {a: {image: redis}}\n", encoding="utf-8")
    inside = tmp_path / "stack"
    inside.mkdir()
    (inside / "compose.yaml").write_text("services: {a: {image: nginx}}\n", encoding="utf-8")
    (inside / "twice.yaml").symlink_to("compose.yaml")
    (inside / "out.yaml").symlink_to("../outside.yaml")
    (inside / "loop").symlink_to(".")
    stack = readers.read(inside)
    assert [(p.name, len(p.where)) for p in stack.parts] == [("docker.io/library/nginx", 1)]
    assert [u.place.spot for u in stack.unread] == ["out.yaml"]


def test_a_packed_file_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "bom.json.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
    with pytest.raises(UsageError, match="packed \\(gzip\\)"):
        readers.read(tmp_path / "bom.json.gz")


@pytest.mark.thorough
def test_a_folder_of_strange_files_is_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(readers.MANY + 1):
        (notes / f"{number:02}.yaml").write_text("fixes: [x]\n", encoding="utf-8")
    (tmp_path / "odd.yaml").write_text("fixes: [x]\n", encoding="utf-8")
    (tmp_path / "empty.yaml").write_text("---\n# nothing yet\n", encoding="utf-8")
    told_of = {u.place.spot: u.reason for u in readers.read(tmp_path).unread}
    assert told_of == {"notes": "11 files of no known form, such as 00.yaml", "odd.yaml": readers.UNKNOWN}
