"""The modules that parts are made of: what a plugin's computing half derives from, and what it is given."""

from ntm_toolkit.parts.activations import ACTIVATIONS, activate
from ntm_toolkit.parts.bases import (
    Controller,
    FieldSlot,
    Head,
    HeadOutput,
    Initializer,
    Interface,
    Memory,
    Normalizer,
    Similarity,
    Stage,
    Tracker,
    initial_tensors,
)
from ntm_toolkit.parts.recording import Importer, Recorder, Sink
from ntm_toolkit.parts.seeding import derived_seed, seeded, seeding
from ntm_toolkit.parts.sequence import NoiseKey, SequenceModel
from ntm_toolkit.parts.state import State
from ntm_toolkit.parts.task import Episodes, Task
from ntm_toolkit.parts.tree import Tree
from ntm_toolkit.parts.view import MemoryView, Tensors, View

__all__ = [
    "ACTIVATIONS",
    "Controller",
    "Episodes",
    "FieldSlot",
    "Head",
    "HeadOutput",
    "Importer",
    "Initializer",
    "Interface",
    "Memory",
    "MemoryView",
    "NoiseKey",
    "Normalizer",
    "Recorder",
    "SequenceModel",
    "Similarity",
    "Sink",
    "Stage",
    "State",
    "Task",
    "Tensors",
    "Tracker",
    "Tree",
    "View",
    "activate",
    "derived_seed",
    "initial_tensors",
    "seeded",
    "seeding",
]
