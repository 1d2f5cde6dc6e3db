"""The copy task (Graves et al. 2014, section 4.1)."""

from __future__ import annotations

import torch

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.specs import CopySpec


class Copy(BitTask):
    """Episodes of one batch may differ in length; shorter ones are padded, not scored, and end by `lengths`."""

    def __init__(self, spec: CopySpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, bits + flags), targets (time, batch, bits + marker).

        Raises:
            ValueError: an axis other than `length`, or a length below 1.
        """
        spec = self.spec
        count = _lengths(spec, stream, batch, **axes)
        longest = int(count.max())
        bits = torch.randint(0, 2, (longest, batch, spec.bits), generator=stream).to(torch.get_default_dtype())
        place = torch.arange(longest)[:, None]
        bits = bits * (place < count)[..., None]
        first = int(spec.start_flag)
        total = 2 * longest + 1 + first + int(spec.end_marker)
        inputs, outputs = spec.sizes()
        step, each = torch.arange(total)[:, None], torch.arange(batch)
        seen = torch.zeros(total, batch, inputs)
        wanted = torch.zeros(total, batch, outputs)
        seen[first : first + longest, :, : spec.bits] = bits
        seen[first + count, each, spec.bits] = 1
        if spec.start_flag:
            seen[0, :, spec.bits + 1] = 1
        answer = step - (first + count + 1)
        answering = (answer >= 0) & (answer < count)
        source = answer.clamp(0, longest - 1)
        wanted[..., : spec.bits] = bits.gather(0, source[..., None].expand(-1, -1, spec.bits)) * answering[..., None]
        ends = first + 2 * count + 1 + int(spec.end_marker)
        if spec.end_marker:
            wanted[ends - 1, each, spec.bits] = 1
        mask = (answer >= 0) & (step < ends)
        ragged = bool((ends != total).any())
        return Episodes(seen, wanted, mask, ends if ragged else None)


def _lengths(spec: CopySpec, stream: torch.Generator, batch: int, **axes: int) -> torch.Tensor:
    unknown = sorted(set(axes) - set(spec.axes()))
    if unknown:
        raise ValueError(f"copy has no axis '{unknown[0]}'; it has {', '.join(spec.axes())}")
    if "length" in axes:
        if axes["length"] < 1:
            raise ValueError(f"a length is at least 1; got {axes['length']}")
        return torch.full((batch,), axes["length"])
    return torch.randint(spec.length.min, spec.length.max + 1, (batch,), generator=stream)
