# SPDX-License-Identifier: Apache-2.0
"""Databases with their schemas, made once for each runtime and copied into each new cloud.

Schema creation is the longest part of a first start and always gives the same result, so the launcher
makes it once, beside its place, and renames it when whole. What a copy must change is what names its cloud:
paths in Nova's cell mappings, Keystone's ids of the administrator, and the administrator's password.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets as random
import shutil
import sqlite3
import subprocess
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from unterbau.errors import ServiceDied
from unterbau.reference import config, disk, services
from unterbau.reference.layout import Layout, Ports, Secrets, data_home
from unterbau.reference.process import INHERITED, tail

_PBKDF2_ROUNDS = 25000


def ensure(runtime: Path, secrets: Secrets, progress: Callable[[str], None]) -> Path:
    """The directory with one database file a service for this runtime; makes it if there is none."""
    home = disk.private_directory(data_home() / "templates")
    place = home / f"{runtime.name}-{_code_digest()}"
    if place.is_dir():
        return place
    with disk.locked(
        home / f"{place.name}.lock", lambda: progress("another process creates the schemas; waiting for it")
    ):
        if place.is_dir():
            return place
        progress("creating the database schemas (once for this version of Unterbau)")
        work = home / f"{place.name}.new"
        shutil.rmtree(work, ignore_errors=True)
        layout = Layout("template", work, runtime, Ports.block(1))
        write_config(layout, secrets)
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(_run_all, layout, group) for group in services.schema_commands(layout)]:
                done.result()
        for file in layout.var.glob("*.sqlite"):
            with closing(sqlite3.connect(file)) as database:
                database.execute("pragma wal_checkpoint(truncate)")
                database.execute("pragma journal_mode=wal")
        for done_with in (layout.tmp, layout.run):  # the latter may lie elsewhere
            shutil.rmtree(done_with, ignore_errors=True)
        (work / "origin.json").write_text(json.dumps({"root": str(work)}), encoding="utf-8")
        work.replace(place)
    return place


def write_config(layout: Layout, secrets: Secrets, **choices: bool) -> None:
    """Make the cloud's directories and write its configuration, replacing what is there."""
    for directory in (layout.root, layout.etc, layout.var, layout.log, layout.run, layout.tmp):
        disk.private_directory(directory)
    for repository in (layout.fernet_keys, layout.credential_keys):
        _have_keys(repository)
    for relative, text in config.render(layout, secrets, **choices).items():
        path = layout.etc / relative
        disk.private_directory(path.parent)
        disk.write_private(path, text, durable=False)


def _have_keys(repository: Path) -> None:
    """Keystone's repository of fernet keys: 0 is the next key, 1 the one in use."""
    disk.private_directory(repository.parent)
    disk.private_directory(repository)
    for number in ("0", "1"):
        if not (repository / number).exists():
            disk.write_private(repository / number, urlsafe_b64encode(random.token_bytes(32)).decode())


def copy_into(template: Path, layout: Layout, secrets: Secrets) -> None:
    """Give the cloud its databases; what stands in `layout.var` under the same names is replaced."""
    origin = disk.read_json(template / "origin.json") or {}
    with disk.translated(layout.var):
        for file in sorted((template / "var").glob("*.sqlite")):
            target = layout.var / file.name
            for suffix in ("-wal", "-shm"):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(file, target)
            target.chmod(0o600)
    _point_cells(layout.var / "nova_api.sqlite", str(origin["root"]), str(layout.root))
    _own_administrator(layout.var / "keystone.sqlite", secrets.admin)


def _code_digest() -> str:
    """Changes when the way of making schemas does, so that an old template is not used."""
    here = Path(__file__).parent
    files = [here / "config.py", here / "services.py", here / "template.py", *sorted((here / "runtime").rglob("*.py"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


def _run_all(layout: Layout, commands: Sequence[services.Command]) -> None:
    for command in commands:
        log = layout.log / f"schema-{command.name}.log"
        inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
        with log.open("ab") as output:
            done = subprocess.run(
                command.argv,
                env=inherited | dict(command.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                cwd="/",
            )
        if done.returncode:
            raise ServiceDied(
                f"creating the schema of {command.name} ended with exit status {done.returncode}; "
                f"the end of {log}:\n{tail(log)}"
            )


def _point_cells(database: Path, old_root: str, new_root: str) -> None:
    with closing(sqlite3.connect(database)) as nova, nova:
        nova.execute(
            "update cell_mappings set database_connection = replace(database_connection, ?, ?)",
            (old_root, new_root),
        )


def _own_administrator(database: Path, password: str) -> None:
    """New ids for the administrator and its project, and the cloud's own password."""
    with closing(sqlite3.connect(database)) as keystone, keystone:
        user = keystone.execute("select user_id from local_user where name = 'admin'").fetchone()[0]
        project = keystone.execute("select id from project where name = 'admin'").fetchone()[0]
        keystone.execute("pragma defer_foreign_keys = on")
        for old in (user, project):
            _replace_everywhere(keystone, old, uuid.uuid4().hex)
        keystone.execute(
            "update password set password_hash = ? where local_user_id = "
            "(select id from local_user where name = 'admin')",
            (password_hash(password),),
        )


def _replace_everywhere(database: sqlite3.Connection, old: str, new: str) -> None:
    tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
    for table in tables:
        for column in [row[1] for row in database.execute(f'pragma table_info("{table}")')]:
            # Names come from the database's own schema, values are bound.
            statement = f'update "{table}" set "{column}" = ? where "{column}" = ?'  # noqa: S608
            database.execute(statement, (new, old))


def password_hash(password: str) -> str:
    """The password as Keystone stores it, in its pbkdf2_sha512 form (passlib's modified base64)."""
    salt = random.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PBKDF2_ROUNDS)
    return f"$pbkdf2-sha512${_PBKDF2_ROUNDS}${_ab64(salt)}${_ab64(digest)}"


def _ab64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=").replace("+", ".")
