# SPDX-License-Identifier: Apache-2.0
"""What a project in a cloud consists of: `kinds` of resources, a `workload` of them, and what it opens to whom (`openings`). Pure."""
