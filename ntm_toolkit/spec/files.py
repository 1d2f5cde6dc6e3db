"""Files that belong to an experiment, such as a data set: found beside the spec, and known by their content.

A field that takes one is annotated `FileField`. In YAML it is a path, or a mapping that pins the content as well:

    task: {kind: episodes-file, train: data/train.jsonl, held_out: {file: data/test.jsonl, sha256: 9f86d0...}}

A path is relative to the file that it is written in, or to the current folder where it comes from a command line. What
is made of it has the whole path and the hash, and so has a run's resolved spec: a run is refused that would go on, or
be evaluated, with other data.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.nodes import Node
from ntm_toolkit.spec.parts import PartLookup, PartSpec
from ntm_toolkit.spec.paths import set_value
from ntm_toolkit.spec.strict import StrictModel

_CHUNK = 1 << 20


class DataFile(StrictModel):
    """A file, and what is in it. A bare path is short for `{file: that}`."""

    file: str = Field(description="The file, relative to the spec that it is written in.", min_length=1)
    sha256: str | None = Field(
        default=None,
        description="What its content hashes to, in hexadecimal; other content is refused. Found out unless given.",
        pattern=r"^[0-9a-f]{64}$",
    )

    @property
    def path(self) -> Path:
        """The whole path."""
        return Path(self.file)

    @model_validator(mode="after")
    def _found_and_hashed(self) -> Self:
        path = os.path.abspath(self.file)
        found = _hash_of(path)
        if self.sha256 not in (None, found):
            raise _error(
                f"the content of {path} has changed: its sha256 is {found}, and {self.sha256} is what the spec says"
            )
        object.__setattr__(self, "file", path)
        object.__setattr__(self, "sha256", found)
        return self


def _as_file(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


FileField = Annotated[DataFile, BeforeValidator(_as_file, json_schema_input_type=str | DataFile)]
"""A field that takes a file: a path, or a mapping with `file` and `sha256`."""


def with_whole_paths(document: Node, families: Mapping[str, type[PartSpec]], lookup: PartLookup) -> Node:
    """Return a document in which the files of its parts are named by their whole paths.

    Args:
        document: an experiment's, each value with the file that it was written in.
        families: the keys of the document that are parts, with their families.
        lookup: knows the class of a kind.
    """
    for key, family in families.items():
        part = document.child(key)
        if part is None or not isinstance(part.value, dict):
            continue
        for path, node in _paths(part, family, lookup):
            assert isinstance(node.value, str)
            whole = os.path.join(_folder(node), node.value)
            document = set_value(document, (key, *path), Node(whole, node.origin))
    return document


def _paths(part: Node, family: type[PartSpec], lookup: PartLookup) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield where in a part's document its files are named, and the nodes that name them."""
    kind = part.child("kind")
    named = family.default_kind if kind is None else kind.value
    try:
        declared = lookup.part(family, named).model_fields if isinstance(named, str) else {}
    except LookupError:  # of which validation tells
        return
    for name, field in declared.items():
        if field.annotation is not DataFile:
            continue
        for path in ((name,), (name, "file")):
            try:
                node = part.at(path)
            except KeyError:
                continue
            if isinstance(node.value, str) and node.value:
                yield path, node


def _folder(node: Node) -> str:
    """Return the folder of the file that a node was written in; the current one where it came from elsewhere."""
    written = node.origin.file
    return os.path.dirname(os.path.abspath(written)) if written and os.path.isfile(written) else os.getcwd()


def _hash_of(path: str) -> str:
    """Return the hash of a file's content.

    Raises:
        PydanticCustomError: there is no such file, or it is none that can be read.
    """
    try:
        status = os.stat(path)
        ordinary = stat.S_ISREG(status.st_mode)
        found = _sha256(path, status.st_size, status.st_mtime_ns) if ordinary else ""
    except FileNotFoundError:
        raise _error(f"there is no file {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise _error(f"{path} cannot be read: {reason}") from None
    if not ordinary:
        raise _error(f"{path} is not an ordinary file")
    return found


@lru_cache(maxsize=256)
def _sha256(path: str, size: int, modified: int) -> str:
    """Return the hash of a file's content; computed once, as long as size and time of modification stay."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _error(message: str) -> PydanticCustomError:
    return PydanticCustomError("ntm", "{text}", {"text": message})
