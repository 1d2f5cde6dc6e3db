"""The fused runtime: one native kernel for a whole sequence, forward and backward, made from whatever a step traces to.

trace       a machine's step and its vector-Jacobian product, as core ATen operations that know whose they are (origins)
lowering    (operations, geometry, expressions, pointwise) to statements over buffers: the intermediate form, `ir`
program     the forward and the backward program, the tape between them, weight gradients out of the loop
prologue    what comes before the steps, once for all samples: packed weights, the state at the start, their gradients
interpret   the readable meaning of a program, in PyTorch; of whole sequences (interpreted)
explain     what was fused, taped and hoisted, and what it costs, in words
emit        (source) C++ for tiles of samples: stores (storing), reductions, contractions; in strips, in a workspace,
            what comes in and goes out (transfers), and is done once, before and after (ends)
build       compiled once (build), kept between processes (cache), and what it is called with (kernel)
execution   tiles of samples (lanes) on several threads (threads), in memory that is used again (blocks)
sequence    one autograd function from stored parameters (finding) to outputs, with checkpoints where memory is short
loop        the runtime: a kernel when it is first needed, known again (identity) or tried (check), then execution
"""
