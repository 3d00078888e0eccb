# SPDX-License-Identifier: Apache-2.0
"""What a tenant's application answers, asked from outside both clouds: probes, how they are asked, and the claims on them.

`plan` holds probes, `planning` and `drill` get them from a file (`written`) or from what the tenant opens to the world
(`proposing`); the verifier's own process asks them (`running`, `asking`, `ssh`, `command`), and `verify` judges (`judging`).
A probe only asks: it sends no secret, follows no redirect, and logs in nowhere, but for a `command` that a person wrote, which
his own ssh runs with his keys.
"""
