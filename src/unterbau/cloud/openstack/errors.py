# SPDX-License-Identifier: Apache-2.0
"""The one edge where foreign exceptions become ours.

Every call into keystoneauth, requests, urllib3 or ssl stands inside `translated`. Messages carry the service,
what was attempted, the HTTP status and a shortened text of the cloud; never headers, bodies or tokens, and no
foreign exception as cause (its attributes hold the request).
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from keystoneauth1 import exceptions as ksa

from unterbau.cloud.openstack.sdk import exceptions as sdk
from unterbau.errors import (
    AuthFailed,
    Broken,
    CloudError,
    ConfigError,
    Conflict,
    Elsewhere,
    Forbidden,
    NotFound,
    OverQuota,
    Unreachable,
    Unsupported,
)

LONGEST_TEXT, LONGEST_BODY = 300, 1 << 16
SLOW = "Try again when the cloud answers; --bounds allows it longer."
FOREIGN: tuple[type[BaseException], ...] = (
    ksa.ClientException,
    ksa.ImpliedVersionMismatch,
    ksa.RetriableConnectionFailure,
    sdk.SDKException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.ProxySchemeUnsupported,
    http.client.HTTPException,
    OSError,
    json.JSONDecodeError,
    UnicodeError,
)
"""Everything that the libraries below us are known to raise (`ssl.SSLError`, `socket.timeout` are OSErrors)."""


class GaveUp(TimeoutError):
    """A connection was shut by us (`wire`); the text says why. `sent`: something of the request may have gone out."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Astray(ksa.ConnectionError):
    """A request that was not sent, or not sent on, in the form in which keystoneauth passes it through.

    To its discovery it is an address without a version document, of which there may be another.
    """

    def __init__(self, error: Elsewhere) -> None:
        super().__init__(error.what)
        self.error = error


MALFORMED: tuple[type[Exception], ...] = (
    KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError, OverflowError,
)  # fmt: skip
"""What is raised where an answer has another form than was believed: by keystoneauth, which checks none, and by us."""

_QUOTA = re.compile(r"quota|limit exceeded|exceeds? .*(limit|allowed)|maximum number of|too many", re.I)
_SECRETS = (
    (re.compile(r"gAAAA[\w-]+=*"), "***"),
    (re.compile(r"(?i)(password|passwd|secret|token|payload|adminpass)(['\"]?\s*[:=]\s*)\S+"), r"\1\2***"),
    (re.compile(r"(?i)\bvalue: .*"), "(value not repeated)"),
    (re.compile(r"//[^/@\s]+@"), "//***@"),
)
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY|certificate verify|hostname mismatch|doesn't match", re.I)


_READING = ("GET", "HEAD", "OPTIONS")
_NEVER_SENT: tuple[type[BaseException], ...] = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)
"""There was no connection yet, so there was no request."""


def writes(method: str) -> bool:
    """Whether a request of this method may change something."""
    return method.upper() not in _READING


@contextmanager
def translated(
    what: str, *, quiet: bool = False, write: bool = False, strange: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Translate foreign exceptions raised inside. `quiet` leaves out the cloud's text (secrets in play).

    `write`: the request may change something; without a definite answer its error is `uncertain`.
    `strange`: what the libraries let pass when an answer has another form than they believe (`MALFORMED`). Only for
    blocks in which nothing of ours could raise the same.
    """
    try:
        yield
    except CloudError:
        raise
    except FOREIGN as error:
        raise translate(error, what, quiet=quiet, write=write) from None
    except strange as error:
        broken = malformed(what, error)
        broken.uncertain = write
        raise broken from None


def translate(error: BaseException, what: str, *, quiet: bool = False, write: bool = False) -> CloudError | ConfigError:
    """Our error for a foreign one. `what` names service and operation; `write` as for `translated`."""
    if isinstance(error, Astray):
        return error.error
    if isinstance(error, ksa.HttpError):
        return by_status(error.http_status, "" if quiet else _text_of(error), what, write=write)
    if isinstance(error, sdk.HttpException):
        return by_status(error.status_code or 0, "" if quiet else str(error.message), what, write=write)
    if isinstance(error, sdk.ConfigException | ksa.AuthPluginException):
        return ConfigError(f"{what}: {clean(str(error))}", "Mend this cloud's entry in clouds.yaml.")
    if isinstance(error, ksa.EndpointNotFound):
        return Unsupported(f"{what}: the catalog has no endpoint for it in this region")
    if isinstance(error, ksa.AuthorizationFailure | ksa.MissingAuthMethods):
        return AuthFailed(f"{what}: {clean(str(error))}", "Check the credentials in clouds.yaml.")
    made = _without_status(error, what)
    made.uncertain = write and not never_sent(error)
    return made


def never_sent(error: BaseException) -> bool:
    """Whether it failed before the request went out: no address, no connection, no trust in who answers."""
    for one in _behind(error):
        if isinstance(one, _NEVER_SENT) or "CERTIFICATE_VERIFY_FAILED" in str(one):
            return True
        if isinstance(one, GaveUp):
            return not one.sent
    early = ksa.DiscoveryFailure | requests.exceptions.MissingSchema | requests.exceptions.InvalidURL
    return isinstance(error, early)


def untrusted(error: BaseException) -> bool:
    """Whether who answered showed no certificate that verifies: asking again changes nothing."""
    return any(_is_certificate(str(one)) for one in _behind(error))


def _behind(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that the libraries wrapped in it."""
    seen: list[BaseException] = []
    left: list[object] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and not any(one is s for s in seen):
            yield one
            seen.append(one)
            left += [one.__context__, one.__cause__, getattr(one, "reason", None), *one.args]


def _without_status(error: BaseException, what: str) -> CloudError:
    given_up = next((one for one in _behind(error) if isinstance(one, GaveUp)), None)
    if given_up is not None:
        return Unreachable(f"{what}: {given_up}", SLOW)
    text = clean(str(error))
    if _is_certificate(text):
        return Unreachable(
            f"{what}: the TLS certificate does not verify: {text}",
            "Name the CA that signed it as `cacert: FILE` of this cloud in clouds.yaml.",
        )
    if isinstance(error, requests.exceptions.InvalidJSONError | json.JSONDecodeError | UnicodeError):
        return Broken(f"{what}: the answer is not JSON")
    if isinstance(error, ksa.DiscoveryFailure | ksa.InvalidResponse | ksa.ImpliedVersionMismatch):
        return Broken(f"{what}: {text}", "Check auth_url in clouds.yaml: it does not answer as Keystone does.")
    if isinstance(error, requests.exceptions.MissingSchema | requests.exceptions.InvalidURL):
        return Unreachable(f"{what}: {text}", "Check auth_url in clouds.yaml.")
    return Unreachable(f"{what}: {text}", "Check that the cloud runs and that this machine reaches it.")


def malformed(what: str, error: Exception) -> Broken:
    """Our error for an answer of another form than its API documents. `error` may only name what was missing."""
    fault = (
        f"lacks {error.args[0]!r}" if isinstance(error, KeyError) and error.args else "has another form than its API"
    )
    return Broken(f"{what}: the answer {clean(fault)}", "Check auth_url in clouds.yaml, or ask the cloud's operator.")


def _is_certificate(text: str) -> bool:
    return bool(_CERTIFICATE.search(text))


def by_status(status: int, text: str, what: str, *, write: bool = False) -> CloudError:
    """Our error for an HTTP status and the cloud's text; of a `write` it is uncertain if the status refuses nothing."""
    made = _by_status(status, text, what)
    made.uncertain = write and (status in (0, 408, 499) or (status >= 500 and status not in (501, 505, 507)))
    return made


def _by_status(status: int, text: str, what: str) -> CloudError:
    text = clean(text)
    message = f"{what}: HTTP {status}" + (f": {text}" if text else "")
    if status == 401:
        return AuthFailed(message, "Check the credentials in clouds.yaml; they are wrong or have expired.")
    if status in (413, 507) or (status in (403, 409) and _QUOTA.search(text)):
        return OverQuota(message, "Raise the quota, or free what is not needed.")
    if status == 422:  # Swift, Object API: PUT object with an ETag
        return Broken(f"{message}: other bytes arrived than were announced")
    if status == 429:
        return Unreachable(message, "The cloud limits the rate; try again later.")
    if status in (408, 498, 499, 503, 504):
        return Unreachable(message, "The service does not answer in time; try again.")
    simple = {
        403: Forbidden,
        404: NotFound,
        410: NotFound,
        405: Unsupported,
        406: Unsupported,
        501: Unsupported,
    }
    if status in simple:
        return simple[status](message)
    return Conflict(message) if 400 <= status < 500 else Broken(message)


def clean(text: str) -> str:
    """One short line without tokens, passwords and repeated input."""
    text = " ".join(text.split())
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= LONGEST_TEXT else printable[: LONGEST_TEXT - 1] + "…"


def _text_of(error: ksa.HttpError) -> str:
    """The message of the cloud; keystoneauth does not read every shape (Neutron, Barbican, plain text)."""
    response = error.response
    if response is None:
        return str(error.message or "")
    return text_of_body(response.text, str(error.message or ""))


def text_of_body(body: str, otherwise: str = "") -> str:
    """The message in an error's body, whatever the service's shape; only its beginning is looked at."""
    body = body[:LONGEST_BODY]
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return re.sub(r"<[^>]*>", " ", body) or otherwise
    while isinstance(data, dict):
        for key in ("message", "description", "NeutronError", "error", "faultstring"):
            if key in data:
                data = data[key]
                break
        else:
            data = next((v for v in data.values() if isinstance(v, dict)), otherwise)
    return data if isinstance(data, str) else otherwise
