"""Swaps for the paper's parts: other similarities, other normalizers, other ways to move along the slots."""
