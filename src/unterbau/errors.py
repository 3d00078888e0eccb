# SPDX-License-Identifier: Apache-2.0
"""The errors of Unterbau: one tree, each with what to do and a documented exit code.

Everyone raises these; `cli.py` alone turns them into a message and an exit code.
Foreign exceptions are translated where the foreign library is called, never here.

    UnterbauError
    ├── UsageError              2  the command line or an input file is wrong
    │   ├── ConfigError         2  clouds.yaml is missing, malformed or lacks the cloud
    │   ├── PlanError           2  a plan is malformed, inconsistent or stale
    │   ├── BundleError         2  a bundle is truncated, malformed or of a newer format
    │   └── Refused             2  the request breaks a law of ours (same project, target not empty, ...)
    ├── CloudError              4  a cloud could not be reached or refused us
    │   ├── Unreachable         4  no connection, no answer in time, certificate does not verify
    │   ├── AuthFailed          4  credentials wrong or expired
    │   ├── Forbidden           4  a right is missing
    │   ├── NotFound            4  the thing asked for does not exist (any more)
    │   ├── Conflict            4  the cloud's state forbids the request
    │   ├── OverQuota           4  a quota or limit is exhausted
    │   ├── Unsupported         4  this cloud does not offer the operation
    │   ├── Elsewhere           4  an answer points to another host, or back to plain http; nothing went there
    │   └── Broken              4  the cloud answered nonsense, 5xx, or ended in status error
    ├── LocalError              1  this machine failed us: disk full, port taken, no permission
    │   └── ServiceDied         1  a service of the embedded cloud ended or did not become ready
    ├── Failed                  1  a step of ours ended in failure after retries
    └── Interrupted             5  stopped half-way; the same command resumes

A cloud error's `transient` says whether the same request may succeed later (retry decides by it), its `uncertain`
whether the request may have been carried out all the same, or may still be (the sweep of `move` decides by it).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of every command (the table in docs/exit-codes.md)."""

    HELD = 0
    FAILED = 1
    USAGE = 2
    NOT_SHOWN = 3
    CLOUD = 4
    INTERRUPTED = 5


class UnterbauError(Exception):
    """Root of the tree.

    `what` says what happened and where, in one line; `remedy` what a person does about it. `things`: all that it
    concerns, a line a thing, where there are several.
    """

    exit: ClassVar[Exit] = Exit.FAILED

    def __init__(self, what: str, remedy: str = "", things: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.things = tuple(things)

    @property
    def kind(self) -> str:
        """Stable name of the error for machines (the class name)."""
        return type(self).__name__

    def told(self) -> dict[str, object]:
        """What `--format json` prints of it."""
        plain: dict[str, object] = {
            "error": self.kind, "what": self.what, "remedy": self.remedy, "exit": int(self.exit),
        }  # fmt: skip
        return {**plain, "things": list(self.things)} if self.things else plain


class UsageError(UnterbauError):
    """The command line or an input file is wrong."""

    exit = Exit.USAGE


class ConfigError(UsageError):
    """clouds.yaml is missing, malformed or does not hold the cloud."""


class PlanError(UsageError):
    """A plan is malformed, inconsistent with itself, or stale."""


class BundleError(UsageError):
    """A bundle is truncated, malformed, or of a format that we do not know."""


class Refused(UsageError):
    """The request would break one of our laws; nothing was done."""


class CloudError(UnterbauError):
    """A cloud could not be reached or refused us. `transient`: the same request may succeed later."""

    exit = Exit.CLOUD
    transient: ClassVar[bool] = False
    uncertain: bool = False
    """It was a write whose answer was lost, cut, late or 5xx: the cloud may have done it, or do it later."""


class Unreachable(CloudError):
    """No connection, no answer in time, or a certificate that does not verify.

    `why`: the same as `what` as a typed reason (`unterbau.verdict.Reason`), if who raised it has one.
    """

    transient = True

    def __init__(self, what: str, remedy: str = "", things: Sequence[str] = (), *, why: object = None) -> None:
        super().__init__(what, remedy, things)
        self.why = why


class AuthFailed(CloudError):
    """Credentials are wrong, expired or revoked."""


class Forbidden(CloudError):
    """The identity lacks a right (HTTP 403)."""


class NotFound(CloudError):
    """The object does not exist, or not any more (HTTP 404)."""


class Conflict(CloudError):
    """The cloud's state forbids the request (HTTP 409, or 400 'must be available')."""


class OverQuota(CloudError):
    """A quota or limit is exhausted (HTTP 413, or 403/409 that name a quota)."""


class Unsupported(CloudError):
    """This cloud does not offer the operation (service absent, extension absent, HTTP 501)."""


class Elsewhere(CloudError):
    """An answer points to another place (scheme, host, port), where nothing was sent. `status`: of that answer.

    `asked` is the request, `there` the place that it was pointed to, or "" if no answer did; `near`: another path of the
    same place.
    """

    def __init__(
        self, what: str, remedy: str = "", status: int | None = None, *, asked: str = "", there: str = "", near: bool = False
    ) -> None:  # fmt: skip
        super().__init__(what, remedy)
        self.status, self.asked, self.there, self.near = status, asked, there, near


class Broken(CloudError):
    """The cloud answered 5xx or nonsense, or the object ended in status error.

    `asked` and `there`: a listing, and what its answer calls the next page, if that is none of it.
    """

    transient = True

    def __init__(self, what: str, remedy: str = "", *, asked: str = "", there: str = "") -> None:
        super().__init__(what, remedy)
        self.asked, self.there = asked, there


class LocalError(UnterbauError):
    """This machine failed us: disk full, port taken, permission missing."""


class ServiceDied(LocalError):
    """A service of the embedded cloud ended or did not become ready; the message ends with its log's tail."""


class Failed(UnterbauError):
    """A step ended in failure after its retries; what was done stands in the journal."""


class Interrupted(UnterbauError):
    """Stopped half-way by a signal; the same command resumes."""

    exit = Exit.INTERRUPTED
