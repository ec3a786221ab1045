"""What an execution of Smart Flows leaves: documents and other values, as the model of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from flowrunner.simulator.office_files import make_document
from flowrunner.simulator.smart_flows_flows import Block, Made, MadeForEach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks


@frozen
class Document:
    """A document that an execution made: the `number`th of it, from 0."""

    number: int
    name: str
    content_type: str

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return make_document(self.content_type, self.name)


@frozen
class Output:
    """What an execution shows as its output."""

    model: dict[str, Any]
    documents: tuple[Document, ...]


def make_output(
    blocks: Iterable[Block], records: int, quirks: SmartFlowsQuirks, id_of: Callable[[Document], str]
) -> Output:
    """Make the output of blocks that worked on so many records."""
    writer = _Writer(records, id_of)
    model = {block_key(block, quirks): writer.write(dict(block.values)) for block in blocks}
    return Output(model, tuple(writer.documents))


def block_key(block: Block, quirks: SmartFlowsQuirks) -> str:
    """Return what a block's outputs are called: `B` and the id with underscores (the rule is assumed)."""
    return block.name if quirks.model_keys == "plain" else "B" + block.id.replace("-", "_")


@frozen
class _Writer:
    """Writes values with the documents in them, and counts those."""

    records: int
    id_of: Callable[[Document], str]
    documents: list[Document] = field(factory=list)

    def write(self, value: Any) -> Any:
        if isinstance(value, Made):
            return self._add(value.name, value.content_type)
        if isinstance(value, MadeForEach):
            return [self._add(value.name.format(number), value.content_type) for number in range(1, self.records + 1)]
        if isinstance(value, dict):
            return {key: self.write(item) for key, item in value.items()}
        return [self.write(item) for item in value] if isinstance(value, list) else value

    def _add(self, name: str, content_type: str) -> dict[str, str]:
        document = Document(len(self.documents), name, content_type)
        self.documents.append(document)
        return {"id": self.id_of(document), "displayName": name, "type": "document"}
