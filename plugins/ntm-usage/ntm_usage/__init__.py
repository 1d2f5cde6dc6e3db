"""Choosing slots by how they were used: least used (MANN), least recently used and sampled (D-NTM)."""
