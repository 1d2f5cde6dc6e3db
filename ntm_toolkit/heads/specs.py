"""Read and write heads as spec classes (Graves et al. 2014, sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.memory.specs import LearnedSpec, OneHotSpec
from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.declarations import Activation, Dims, Field
from ntm_toolkit.spec.families import HeadSpec, InitializerSpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts


class ReadSpec(HeadSpec):
    """r = sum_i w(i) M(i) (Graves et al. 2014, eq. 2)."""

    kind: Literal["read"] = "read"
    initial_weighting: InitializerSpec | None = PydanticField(
        default=OneHotSpec(), description="The weighting before the first step."
    )
    start: InitializerSpec = PydanticField(
        default=LearnedSpec(scale=0.01), description="The read vectors that the first step sees."
    )

    def read_size(self, dims: Dims) -> int:
        """Each head reads one slot's width."""
        return dims.width

    def initial_reads(self) -> InitializerSpec:
        """As the spec says."""
        return self.start

    def build(self, dims: Dims) -> parts.Head:
        """Return the module that computes it."""
        from ntm_toolkit.heads.read import Read

        return Read()


class WriteSpec(HeadSpec):
    """M(i) <- M(i) (1 - w(i) e) + w(i) a (Graves et al. 2014, eqs. 3 and 4)."""

    kind: Literal["write"] = "write"
    initial_weighting: InitializerSpec | None = PydanticField(
        default=OneHotSpec(), description="The weighting before the first step."
    )
    erase_activation: Activation = PydanticField(
        default="sigmoid", description="What the erase vector's raw numbers go through."
    )
    add_activation: Activation = PydanticField(
        default="tanh", description="What the add vector's raw numbers go through; none in pytorch-ntm."
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The erase vector e in (0, 1) and the add vector a, each of one slot's width."""
        return {
            "erase": Field(dims.width, self.erase_activation),
            "add": Field(dims.width, self.add_activation),
        }

    def writes(self) -> bool:
        """It changes the memory."""
        return True

    def build(self, dims: Dims) -> parts.Head:
        """Return the module that computes it."""
        from ntm_toolkit.heads.write import Write

        return Write()


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The paper's two heads."""
    return [ReadSpec, WriteSpec]
