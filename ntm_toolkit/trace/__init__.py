"""What happened inside a run over one batch, and pictures of it. Nothing here knows a part by name."""
