# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a drill: the terminal's tables (`terminal`) and the one-file report (`html`)."""
