# SPDX-License-Identifier: Apache-2.0
"""Guests that run commands by ssh, on loopback: a real server (asyncssh), and the real client with a configuration of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

Run = Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]]
USER = "alpine"


class Client:
    """The ssh of this machine, first on the path, with a folder of its own for its configuration: nobody's home is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.key.write_private_key(str(folder / "key"))
        (folder / "key").chmod(0o600)
        self.configuration = folder / "config"
        self.configured()
        found = shutil.which("ssh")
        assert found is not None
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho $$ >>{folder}/pids\nexec {found} -F {self.configuration} "$@"\n')
        program.chmod(0o700)
        self.path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"

    def configured(self, *lines: str) -> None:
        """Its configuration: the key, no agent, and these lines."""
        told = [*lines, f"IdentityFile {self.folder}/key", "IdentityAgent none", "IdentitiesOnly yes"]
        self.configuration.write_text("".join(f"{line}\n" for line in told))

    def pids(self) -> list[int]:
        """The processes of all questions so far."""
        written = self.folder / "pids"
        return [int(line) for line in written.read_text().split()] if written.exists() else []


def client(folder: Path, patch: pytest.MonkeyPatch) -> Client:
    """That client, on the path. Where there is none nothing is tested, and that is said."""
    if shutil.which("ssh") is None:
        pytest.skip("DID NOT RUN: commands in guests were not asked, because no ssh is on the path")
    made = Client(folder)
    patch.setenv("PATH", made.path)
    return made


class _Server(asyncssh.SSHServer):
    def __init__(self, of: Guest) -> None:
        self._of = of

    def connection_requested(self, host: str, port: int, source: str, source_port: int) -> bool:
        """As a jump host."""
        self._of.jumps.append((host, port))
        return True

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._of.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._of.users.append(username)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._of.key = self._of.key or self._of.later

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._of.passwords.append(password)
        return False

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and self._of.key is not None and key == self._of.key.convert_to_public()


class Guest:
    """What a server saw, and lets in: the key, if there is one."""

    def __init__(self, key: asyncssh.SSHKey | None) -> None:
        self.key = key
        self.later: asyncssh.SSHKey | None = None
        """Which one is let in once somebody was sent away."""
        self.port = 0
        self.users: list[str] = []
        self.passwords: list[str] = []
        self.commands: list[str | None] = []
        self.environments: list[dict[str, str]] = []
        self.jumps: list[tuple[str, int]] = []
        self.connections: list[asyncssh.SSHServerConnection] = []


@contextlib.contextmanager
def guest(
    key: asyncssh.SSHKey | None,
    run: Run,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    host_key: asyncssh.SSHKey | None = None,
) -> Iterator[Guest]:
    """A guest that lets the key in, and does `run` for each command."""
    of = Guest(key)
    own = host_key or asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()

    async def ran(process: asyncssh.SSHServerProcess[bytes]) -> None:
        of.commands.append(process.command)
        of.environments.append(dict(process.env))
        with contextlib.suppress(OSError, asyncssh.Error):
            await run(process)

    async def serve() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            address, port, server_factory=lambda: _Server(of), process_factory=ran, encoding=None,
            server_host_keys=[own], agent_forwarding=False,
        )  # fmt: skip

    listening = loop.run_until_complete(serve())
    of.port = listening.get_port()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        listening.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for connection in of.connections:
            connection.abort()
        # A way through a jump host is closed by nobody once its connection is gone.
        for transport in list(getattr(loop, "_transports", {}).values()):
            transport.abort()
        for _ in range(3):  # what was closed is lost in the next turn, and what that closes in the one after
            await asyncio.sleep(0)

    try:
        yield of
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def saying(status: int, output: bytes = b"", error: bytes = b"") -> Run:
    """Writes that, and ends so."""

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(output)
        process.stderr.write(error)
        await process.stdout.drain()
        process.exit(status)

    return run


async def hanging(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Says nothing, for longer than anybody asks."""
    await asyncio.sleep(600)
