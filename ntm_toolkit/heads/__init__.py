"""The paper's heads: read and write."""
