"""Models without a memory, to compare machines with: recurrent networks and a Transformer."""
