"""The flows that the simulated Smart Flows has. Their ids are ours and never change."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from flowrunner.simulator.engine import Behaviour, JobState, Pause
from flowrunner.simulator.office_files import DOCX, PDF

if TYPE_CHECKING:
    from collections.abc import Mapping


class SmartFlowId(StrEnum):
    """The ids of the flows there are at first."""

    REPORT = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab001"
    NO_INPUT = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002"
    WARNS = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab003"
    FAILS = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab004"
    ASKS_ONCE = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab005"
    ASKS_TWICE = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab006"
    WAITS = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab007"
    INTERRUPTED = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab008"
    RECORDS = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab009"
    CHOOSE = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab00a"


EMPLOYEES = "8d7a2c90-41be-4f6e-b1c3-0e9f6a7dc001"
"""The id of the data set that the shipped flows with input take."""


@frozen
class Question:
    """A field of a form.

    Attributes:
        key: What its answer is called; of two GUIDs, or one (observed).
        title: How the form shows it.
        default: What the form begins with.
        type: Its type in JSON Schema.
        required: Whether the form wants an answer; the server takes none all the same.
        choices: The values it offers; empty if any.
    """

    key: str
    title: str
    default: Any = None
    type: Literal["string", "boolean", "integer"] = "string"
    required: bool = False
    choices: tuple[str, ...] = ()


@frozen
class Ask:
    """The reason of a pause: a person fills in a form. A batch passes over it."""

    questions: tuple[Question, ...]


@frozen
class AwaitCallback:
    """The reason of a pause: something outside has to call back.

    Attributes:
        blocks: The outputs that are there by then.
    """

    blocks: tuple[Block, ...] = ()


@frozen
class ChooseFlow:
    """The reason of a pause: a person chooses which flow it shall be. A batch passes over it."""


@frozen
class Made:
    """A document that a flow makes, at its place among the outputs."""

    name: str
    content_type: str = PDF


@frozen
class MadeForEach:
    """A document for each record of the input, as a list."""

    name: str
    content_type: str = PDF


@frozen
class Block:
    """A block of a flow, and its output parameters: documents, or any JSON, which may have documents in it."""

    id: str
    name: str
    values: Mapping[str, Any]


@frozen
class NamedOutput:
    """An output that is asked for by id or name."""

    id: str
    name: str
    content: Any


@frozen
class SmartFlow:
    """A flow.

    Attributes:
        id: What it is started by.
        name: How it is shown, and what a batch may start it by.
        behaviour: What its runs do unless something else is scripted.
        input: Whether it takes data: "none", of a "user", or of a "plugin".
        dataset: The id of the data set its input conforms to.
        steps: What it does, one after the other.
        blocks: What it leaves.
        outputs: What it leaves under a name.
        iterates: Whether it goes through its steps once for each record.
    """

    id: str
    name: str
    behaviour: Behaviour = field(factory=Behaviour)
    input: Literal["none", "user", "plugin"] = "none"
    dataset: str | None = None
    steps: tuple[str, ...] = ("Read data", "Generate document", "Convert document", "Store document")
    blocks: tuple[Block, ...] = ()
    outputs: tuple[NamedOutput, ...] = ()
    iterates: bool = False


def _block(number: int, name: str, **values: Any) -> Block:
    return Block(f"b407de9e-f9e8-47b8-9131-0fa2524{number:05x}", name, values)


_FORM = "c3f1b7d2-5a64-4f0c-9d7e-2b8a1e6f0d01"
_SIGNER = Question("55c8256f-6d1e-4c0b-8a2f-91d3e7b4a0c1", "City of signing", default="Gent")
_DETAILS = (
    Question(f"{_FORM}_1a2b3c4d-0001-4e5f-8a9b-0c1d2e3f4a5b", "Name", required=True),
    Question(f"{_FORM}_1a2b3c4d-0002-4e5f-8a9b-0c1d2e3f4a5b", "Language", "English", choices=("English", "Nederlands")),
    Question(f"{_FORM}_1a2b3c4d-0003-4e5f-8a9b-0c1d2e3f4a5b", "Include signature", default=True, type="boolean"),
)
_LETTER = _block(1, "Generate letter", document=Made("Letter.docx", DOCX))
_EMBED = _block(2, "Ask for a signature", urlsToEmbed=[{"value": "https://sign.example.com/1"}])
_SUMMARY = NamedOutput("9e1f0d3c-7b25-4a86-b0c4-3d5e6f7a8b01", "Summary", {"EmbedUrl": "https://panel.example.com/1"})

SMART_FLOWS = (
    SmartFlow(
        SmartFlowId.REPORT,
        "Employee report",
        input="user",
        dataset=EMPLOYEES,
        blocks=(
            _block(3, "Generate report", document=Made("Report.docx", DOCX)),
            _block(4, "Convert report", document=Made("Report.pdf"), language="English"),
        ),
        outputs=(_SUMMARY, NamedOutput("9e1f0d3c-7b25-4a86-b0c4-3d5e6f7a8b02", "Log", "<log><line>Done</line></log>")),
    ),
    SmartFlow(SmartFlowId.NO_INPUT, "Nightly summary", Behaviour(duration=4), blocks=(_LETTER,)),
    SmartFlow(
        SmartFlowId.WARNS,
        "Letter with a failing mail",
        Behaviour(duration=4, warnings=1, message="The mail server did not answer."),
        blocks=(_LETTER,),
    ),
    SmartFlow(
        SmartFlowId.FAILS,
        "Letter without a template",
        Behaviour(duration=3, outcome=JobState.FAILED, message="The template 'Letter' was not found."),
    ),
    SmartFlow(
        SmartFlowId.ASKS_ONCE, "Letter", Behaviour(duration=6, pauses=(Pause(2, Ask(_DETAILS)),)), blocks=(_LETTER,)
    ),
    SmartFlow(
        SmartFlowId.ASKS_TWICE,
        "Letter, signed in a city",
        Behaviour(duration=8, pauses=(Pause(2, Ask(_DETAILS)), Pause(4, Ask((_SIGNER,))))),
        blocks=(_LETTER,),
    ),
    SmartFlow(
        SmartFlowId.WAITS,
        "Contract to sign",
        Behaviour(duration=6, pauses=(Pause(3, AwaitCallback((_EMBED,))),)),
        blocks=(_block(5, "Store contract", signedDocument=Made("Contract.pdf")),),
    ),
    # The vendor calls what nobody asked to stop Interrupted.
    SmartFlow(SmartFlowId.INTERRUPTED, "Endless report", Behaviour(duration=5, outcome=JobState.CANCELLED)),
    SmartFlow(
        SmartFlowId.RECORDS,
        "Letter to each employee",
        input="user",
        dataset=EMPLOYEES,
        blocks=(_block(6, "Generate letters", letters=MadeForEach("Letter {}.pdf")),),
        iterates=True,
    ),
    SmartFlow(SmartFlowId.CHOOSE, "Choose a flow", Behaviour(pauses=(Pause(0, ChooseFlow()),))),
)
