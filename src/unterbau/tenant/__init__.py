# SPDX-License-Identifier: Apache-2.0
"""What a project in a cloud consists of: `workload` of kinds, and what it opens to whom (`openings`). Pure."""
