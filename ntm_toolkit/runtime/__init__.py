"""How a sequence of steps is executed: eager (in `model`, the reference), compile, and later fused."""
