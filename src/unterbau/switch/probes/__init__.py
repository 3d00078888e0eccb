# SPDX-License-Identifier: Apache-2.0
"""What a tenant's application answers, asked from outside both clouds: probes, how they are asked, and the claims on them.

`plan` holds probes, `planning` and `drill` get them from a file (`written`) or from what the tenant opens to the world
(`proposing`); the verifier's own process asks them (`running`, `asking`, `ssh`), and `verify` judges (`judging`). A
probe only asks: it logs in nowhere, sends no secret, and follows no redirect.
"""
