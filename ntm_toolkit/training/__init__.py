"""Training a model from its spec: the loop, optimisers, evaluation, run folders, checkpoints and metric sinks."""
