# SPDX-License-Identifier: Apache-2.0
"""What a person sees: the terminal's tables (`text`) and the one-file report (`html`)."""
