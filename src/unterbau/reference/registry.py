# SPDX-License-Identifier: Apache-2.0
"""What uv must be told so that it reaches the package index that this machine's pip reaches. Standard library only.

An office has its index in pip's configuration, its CA in the machine's store and a proxy; uv reads none of pip's settings.
`make` runs this file before anything is installed (it prints lines for the shell), `install` calls `settings`. What
somebody has told uv itself is never overridden.
"""

from __future__ import annotations

import ast
import os
import shlex
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
          "/etc/ssl/cert.pem")  # fmt: skip
"""Where the machine's CAs stand: Debian and Alpine, Fedora and RHEL, SUSE, others."""
_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


def settings(
    environ: Mapping[str, str],
    told: Mapping[str, str],
    *,
    store: str = "",
    own_file: bool = False,
) -> dict[str, str]:
    """Variables to add to the environment of pip and uv.

    `told` is pip's configuration (option without section -> value), `store` the file of the machine's CAs, `own_file`
    whether uv has a configuration file that names an index.
    """
    wanted = {**_index(environ, told, own_file), **_trust(environ, told, store), **_way(told)}
    return {name: value for name, value in wanted.items() if value and not environ.get(name)}


def _index(environ: Mapping[str, str], told: Mapping[str, str], own_file: bool) -> dict[str, str]:
    """Where packages come from. Every package is pinned by hash, so any index may serve any of them."""
    if own_file or any(environ.get(name) for name in _INDEX):
        return {}
    extra = told.get("extra-index-url", "").split()
    return {
        "UV_DEFAULT_INDEX": told.get("index-url", ""),
        "UV_INDEX": " ".join(extra),
        "UV_INDEX_STRATEGY": "unsafe-best-match" if extra else "",
        "UV_FIND_LINKS": ",".join(told.get("find-links", "").split()),
        "UV_KEYRING_PROVIDER": "subprocess" if told.get("keyring-provider") in ("subprocess", "import") else "",
    }


def _trust(environ: Mapping[str, str], told: Mapping[str, str], store: str) -> dict[str, str]:
    """Whose certificates count: what pip or the environment names, else the machine's own store."""
    named = told.get("cert", "") or environ.get("SSL_CERT_FILE", "")
    return {
        "PIP_CERT": "" if told.get("cert") or environ.get("REQUESTS_CA_BUNDLE") else named or store,
        "SSL_CERT_FILE": named,
        "UV_SYSTEM_CERTS": "" if named else "true",
        "UV_NATIVE_TLS": "" if named else "true",
        "SSL_CLIENT_CERT": told.get("client-cert", ""),
        "UV_INSECURE_HOST": " ".join(told.get("trusted-host", "").split()),
    }


def _way(told: Mapping[str, str]) -> dict[str, str]:
    """How the index is reached."""
    proxy = told.get("proxy", "")
    return {
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
        "UV_HTTP_TIMEOUT": told.get("timeout", "") or told.get("default-timeout", ""),
    }


def pip_configuration(lines: str) -> dict[str, str]:
    """Option -> value, of what `pip config list` prints: [install] over [global], the environment over both."""
    found: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in lines.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(section):
                found[name.removeprefix(section)] = _value(value)
    return found


def _value(spelled: str) -> str:
    try:
        value = ast.literal_eval(spelled)
    except (ValueError, SyntaxError):
        return ""
    return " ".join(str(value).split())


def store(exists: Callable[[str], bool] = os.path.exists) -> str:
    """The file with the machine's CAs; empty if there is none at a known place."""
    known = (ssl.get_default_verify_paths().openssl_cafile, *_FILES)
    return next((path for path in known if exists(path)), "")


def trusted(environ: Mapping[str, str]) -> str:
    """The file whose CAs count for what is fetched from the world: the one that somebody named, else the machine's; "" if there is none."""
    named = (environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"))
    return next(filter(None, named), "") or store()


def has_own_file(environ: Mapping[str, str]) -> bool:
    """Whether uv has a configuration file that speaks of an index."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    for path in (environ.get("UV_CONFIG_FILE", ""), f"{home}/uv/uv.toml", "/etc/xdg/uv/uv.toml", "/etc/uv/uv.toml"):
        try:
            if path and "index" in Path(path).read_text(encoding="utf-8"):
                return True
        except (OSError, UnicodeError):
            continue
    return False


def of_this_machine(environ: Mapping[str, str], python: str = sys.executable) -> dict[str, str]:
    """`settings` for this machine and its pip. A pip that does not answer tells nothing."""
    asked = [python, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
        lines = done.stdout
    except (OSError, subprocess.TimeoutExpired):
        lines = ""
    return settings(environ, pip_configuration(lines), store=store(), own_file=has_own_file(environ))


if __name__ == "__main__":
    for variable, setting in of_this_machine(os.environ).items():
        sys.stdout.write(f"export {variable}={shlex.quote(setting)}\n")
