"""The matrix memory, and where memories, weightings and read vectors start."""
