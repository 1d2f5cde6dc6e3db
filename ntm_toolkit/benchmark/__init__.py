"""How long a spec's training step takes on this machine, by each runtime, and beside other people's code."""
