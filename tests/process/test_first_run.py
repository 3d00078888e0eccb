# SPDX-License-Identifier: Apache-2.0
"""The first run on an office's computer: set up by an ordinary user, from the company's index, behind its CA.

The CA stands only in the machine's store, which is changed in a mount namespace of the test's own; that needs root. Where
it did not run, it says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import Office, office

from unterbau.reference import registry

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as found:
        yield found


def can_be_somebody_else() -> str:
    """Why the test cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "NOT RUN: the machine's store of CAs can be replaced, in a namespace, by root only"
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return "NOT RUN: there is no unshare or setpriv"
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        return "NOT RUN: this machine lets nobody make a mount namespace"
    if subprocess.run([PYTHON, "-c", "import ensurepip, venv"], check=False, capture_output=True).returncode:
        return f"NOT RUN: {PYTHON} has no venv, and an ordinary user cannot use root's Python"
    return ""


def as_a_user(home: Path, authority: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as nobody, with an empty environment, on a machine whose store holds that CA."""
    store = registry.store()
    both = home / "store.pem"
    both.write_bytes(Path(store).read_bytes() + authority.read_bytes())
    both.chmod(0o644)
    environ = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", **more}
    inner = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "-i",
             *(f"{k}={v}" for k, v in environ.items()), "sh", "-c", command]  # fmt: skip
    outer = ["unshare", "-m", "sh", "-c", f'mount --bind "$0" "{store}" && exec "$@"', str(both), *inner]
    return subprocess.run(outer, capture_output=True, text=True, check=False, timeout=550)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of nobody's with a fresh copy of the project in it. Its parents are passable."""
    if why := can_be_somebody_else():
        pytest.skip(why)
    place = Path("/tmp") / f"unterbau-office-{os.getpid()}"  # noqa: S108 - tmp_path is closed to other users
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o755)
    try:
        files = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for name in files.decode().split("\0")[:-1]:
            if (ROOT / name).is_file():
                (place / "project" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, place / "project" / name)
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_an_ordinary_user_sets_up_from_the_companys_index_behind_its_ca(company: Office, home: Path) -> None:
    missing = can_be_somebody_else()
    if missing:
        pytest.skip(missing)
    told = (
        f"mkdir -p $HOME/.config/pip && printf '[global]\\nindex-url = {company.index}\\n' > $HOME/.config/pip/pip.conf"
    )
    run = f"{told} && cd $HOME/project && make PYTHON={PYTHON} .venv/.ready && .venv/bin/unterbau --version"
    done = as_a_user(home, company.authority, run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unterbau, version" in done.stdout
    wheels = [path for path in company.served if path.startswith("/files/") and path.endswith(".whl")]
    assert len(wheels) > 50  # nothing came from anywhere else: the real index does not know this machine's user


def test_what_to_do_where_the_index_cannot_be_reached(company: Office, home: Path) -> None:
    missing = can_be_somebody_else()
    if missing:
        pytest.skip(missing)
    run = f"cd $HOME/project && make PYTHON={PYTHON} .venv/.ready"
    done = as_a_user(home, company.authority, run, PIP_INDEX_URL="https://localhost:1/simple", PIP_RETRIES="0")
    assert done.returncode != 0
    assert "pip config set global.index-url" in done.stdout and "HTTPS_PROXY" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


# --- what uv is told


def told(environ: dict[str, str] | None = None, *, own_file: bool = False, **pip: str) -> dict[str, str]:
    given = {name.replace("_", "-"): value for name, value in pip.items()}
    return registry.settings(environ or {}, given, store="/store.pem", own_file=own_file)


def test_uv_gets_what_pip_has() -> None:
    found = told(
        index_url="https://mirror.example/simple", extra_index_url="https://more.example/simple", find_links="/wheels /x",
        cert="/ca.pem", client_cert="/me.pem", proxy="http://proxy.example:3128", trusted_host="mirror.example", timeout="9",
        keyring_provider="subprocess",
    )  # fmt: skip
    assert found == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://more.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/x",
        "UV_KEYRING_PROVIDER": "subprocess",
        "SSL_CERT_FILE": "/ca.pem",
        "SSL_CLIENT_CERT": "/me.pem",
        "UV_INSECURE_HOST": "mirror.example",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
        "UV_HTTP_TIMEOUT": "9",
    }


def test_the_machines_store_counts_where_nothing_is_named() -> None:
    assert told() == {"PIP_CERT": "/store.pem", "UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    assert told({"SSL_CERT_FILE": "/own.pem"}) == {"PIP_CERT": "/own.pem"}


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS"])
def test_what_uv_was_told_stays(name: str) -> None:
    found = told({name: "https://mine.example/simple"}, index_url="https://pips.example/simple")
    assert not any("INDEX" in key for key in found)
    assert not any("INDEX" in key for key in told(own_file=True, index_url="https://pips.example/simple"))


def test_pips_sections_in_their_order() -> None:
    lines = "global.index-url='https://a'\ninstall.index-url='https://b'\nglobal.cert='/c'\n:env:.cert='/d'\nnot a line\nglobal.x=[oops"
    assert registry.pip_configuration(lines) == {"index-url": "https://b", "cert": "/d", "x": ""}


def test_a_python_without_pip_tells_nothing() -> None:
    assert registry.of_this_machine({"SSL_CERT_FILE": "/x", "REQUESTS_CA_BUNDLE": "/x"}, "/nonexistent/python") == {}
    assert isinstance(registry.of_this_machine(dict(os.environ), sys.executable), dict)
