"""Write the parts of the reference that follow from the code, so that they cannot say anything else.

Run `python docs/generate.py` after changing a table; a test fails until that is done. What stands between
`<!-- generated: NAME -->` and `<!-- end -->` in a page is replaced; the files in `FILES` are written anew.
"""

from __future__ import annotations

import inspect
import json
import re
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import commands
import diagram
from attrs import NOTHING, fields

from flowrunner import errors, events, registry
from flowrunner.backend import OPERATIONS, Backend, Capability
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.schemas import output_schema
from flowrunner.config.schema import schema
from flowrunner.config.settings import declared
from flowrunner.retries import FAILURES, TABLE, Action, Failure, RequestKind
from flowrunner.simulator import (
    Behaviour,
    DataFlow,
    InVisionQuirks,
    Parameter,
    Pause,
    Quirks,
    SmartFlow,
    SmartFlowsQuirks,
    Workspace,
)
from flowrunner.states import RULES as STATE_RULES
from flowrunner.telemetry import INSTRUMENTS, SPANS
from flowrunner.testing.conformance.rules import RULES, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.retries import Cell
    from flowrunner.states import Meaning

DOCS = Path(__file__).parent


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def backends() -> list[type[Backend]]:
    """All built-in backends."""
    return [registry.load(name) for name in registry.BUILTINS]


def words() -> str:
    """What the vendors' words mean."""
    families = {backend.family: backend for backend in backends()}
    rows = [
        (family, f"`{word}`", _meaning(meaning))
        for family, backend in families.items()
        for word, meaning in backend.words.items()
    ]
    return table(("vendor", "word, folded", "means"), rows)


def _meaning(meaning: Meaning) -> str:
    if meaning.state is None:
        return "the run ended, and how is for its result to say"
    detail = meaning.cause or meaning.reason
    return f"`{meaning.state.name}`" + (f" / `{detail.name}`" if detail else "")


def rules() -> str:
    """The table of rules."""
    rows = [(known.value, seen.value, rule.value) for (known, seen), rule in STATE_RULES.items()]
    return table(("a run that is", "and is seen", "then"), rows)


def error_table() -> str:
    """Every error, its parent, and when it is raised."""
    rows = []
    for name in sorted(errors.__all__):
        cls = getattr(errors, name)
        parents = [parent.__name__ for parent in cls.__bases__ if not parent.__name__.startswith("_")]
        rows.append((f"`{name}`", ", ".join(f"`{parent}`" for parent in parents) or "`FlowrunnerError`", _summary(cls)))
    return table(("class", "is a", "when"), rows)


def event_table() -> str:
    """Every event, and what it carries beside the connection."""
    found = [getattr(events, name) for name in events.__all__]
    rows = [
        (f"`{cls.__name__}`", _summary(cls), _listed(each.name for each in fields(cls) if each.name != "connection"))
        for cls in found
        if inspect.isclass(cls) and issubclass(cls, events.Event) and cls is not events.Event
    ]
    return table(("event", "when", "carries"), rows)


def settings() -> str:
    """Every setting of every backend."""
    return "\n\n".join(f"### {backend.name}\n\n{_settings_of(backend)}" for backend in backends())


def _settings_of(backend: type[Backend]) -> str:
    known = declared(backend.settings_class)
    rows = []
    for attribute in fields(backend.settings_class):
        default = "required" if attribute.default is NOTHING else _default(attribute.default)
        kind = attribute.type if isinstance(attribute.type, str) else getattr(attribute.type, "__name__", "")
        if attribute.name in known:
            rows.append((f"`{attribute.name}`", f"`{kind}`", default, attribute.metadata["help"]))
    return table(("setting", "type", "default", ""), sorted(rows))


def _default(value: object) -> str:
    return "none" if value is None or hasattr(value, "factory") else f"`{str(value).lower()}`"


def exit_codes() -> str:
    """How a command ended."""
    return table(("code", "meaning"), ((str(code.value), code.meaning) for code in ExitCode))


def retries() -> str:
    """What is done about each failure, and what is raised, for each kind of request."""
    rows = [(FAILURES[failure].text, *(_cell_of(kind, failure) for kind in RequestKind)) for failure in Failure]
    return table(("", *RequestKind), rows)


def _cell_of(kind: RequestKind, failure: Failure) -> str:
    cell = TABLE.get((kind, failure))
    return "taken as it is" if cell is None else _ACTIONS[cell.action] + _names(cell)


_ACTIONS = {
    Action.AGAIN: "again, then ",
    Action.NEVER: "",
    Action.RENEW: "renewed, then ",
    Action.LATER: "later, then ",
}


def _names(cell: Cell) -> str:
    return " or ".join(f"`{error.__name__}`" for error in cell.errors)


def left_behind() -> str:
    """What a failure leaves behind at the vendor, and whether it may pass."""
    rows = [
        (facts.text, f"`{failure.name}`", facts.trace.value, "yes" if facts.passes else "")
        for failure, facts in FAILURES.items()
    ]
    return table(("", "`Failure`", "what came of it", "may pass soon"), rows)


def capabilities() -> str:
    """Who can do what."""
    found = backends()
    rows = [
        (f"`{capability.name}`", *("yes" if capability in backend.capabilities else "" for backend in found))
        for capability in Capability
        if any(capability in backend.capabilities for backend in found)
    ]
    return table(("", *(backend.name for backend in found)), rows)


def operations() -> str:
    """What a backend can define."""
    needed = {name: f"`{capability.name}`" for capability, names in OPERATIONS.items() for name in names}
    needed |= {"result": "", "submit": "every backend", "observe": "every backend", "observe_many": "`BULK`"}
    rows = [
        (
            f"`{name}({', '.join(list(inspect.signature(method).parameters)[1:])})`",
            needed.get(name, ""),
            _summary(method),
        )
        for name, method in vars(Backend).items()
        if not name.startswith("_") and inspect.isfunction(method) and name != "state_of"
    ]
    return table(("operation", "capability", ""), rows)


def _summary(documented: object) -> str:
    return (inspect.getdoc(documented) or "").split("\n\n")[0]


def backend_rules() -> str:
    """The rules of the interface, by section."""
    return "\n\n".join(f"### {number}. {title}\n\n{_rules_of(number)}" for number, title in SECTIONS.items())


def _rules_of(section: int) -> str:
    rows = [(number, text[0].upper() + text[1:]) for number, text in RULES.items() if number.startswith(f"{section}.")]
    return table(("rule", ""), rows)


def simulator_runs() -> str:
    """What a run can be told to do."""
    return _attributes(Behaviour, Pause)


def simulator_flows() -> str:
    """What can be published."""
    return _attributes(Workspace, Parameter, DataFlow, SmartFlow)


def simulator_quirks() -> str:
    """What can be decided of each vendor."""
    return _attributes(Quirks, InVisionQuirks, SmartFlowsQuirks)


def _attributes(*classes: type) -> str:
    return "\n\n".join(f"### {each.__name__}\n\n{_attributes_of(each)}" for each in classes)


def _attributes_of(documented: type) -> str:
    """The attributes of a class, their defaults, and what its docstring says of them."""
    section = (inspect.getdoc(documented) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    said = {
        name: " ".join(text.split()) for name, text in re.findall(r"^    (\w+): ((?:.|\n {8})*)", section, re.MULTILINE)
    }
    rows = [(f"`{each.name}`", _value(each.default), said[each.name]) for each in fields(documented)]
    return table(("argument", "default", ""), rows)


def _value(default: object) -> str:
    if default is NOTHING:
        return "required"
    return f"`{default.factory.__name__}()`" if hasattr(default, "factory") else f"`{_plain(default)}`"


def _plain(default: object) -> str:
    return repr(default.value if isinstance(default, Enum) else default)


def spans() -> str:
    """What is a span, and what it carries."""
    rows = [(f"`{name}`", span.kind, span.help, _listed(span.attributes)) for name, span in SPANS.items()]
    return table(("name", "kind", "covers", "attributes"), rows)


def instruments() -> str:
    """What is measured."""
    rows = [
        (f"`{name}`", each.kind, f"`{each.unit}`", each.help, _listed(each.attributes))
        for name, each in INSTRUMENTS.items()
    ]
    return table(("name", "kind", "unit", "measures", "attributes"), rows)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def example(path: str) -> str:
    """A module below `examples`, which its own tests run: not this page's."""
    return f"<!-- skip: next -->\n```python\n{(DOCS.parent / 'examples' / path).read_text(encoding='utf-8')}```"


PARTS = {
    "spans": spans,
    "instruments": instruments,
    "backend_rules": backend_rules,
    "operations": operations,
    "capabilities": capabilities,
    "exit_codes": exit_codes,
    "commands": commands.sections,
    "words": words,
    "retries": retries,
    "left_behind": left_behind,
    "rules": rules,
    "errors": error_table,
    "events": event_table,
    "settings": settings,
    "simulator_runs": simulator_runs,
    "simulator_flows": simulator_flows,
    "simulator_quirks": simulator_quirks,
    "prefect_flow": partial(example, "prefect/nightly.py"),
    "prefect_module": partial(example, "prefect/remote_runs.py"),
    "dagster_job": partial(example, "dagster/nightly.py"),
    "dagster_module": partial(example, "dagster/remote_runs.py"),
}


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


FILES = {
    "flowrunner.schema.json": lambda: _as_json(schema()),
    "output.schema.json": lambda: _as_json(output_schema()),
    "states.svg": diagram.svg,
}
"""Files in the reference: JSON Schemas of the configuration file and of what `--json` prints; the picture of states."""


def filled(text: str) -> str:
    """A page with its generated parts as the code has them now."""
    pattern = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]()}\n\n{match[3]}", text)


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        page.write_text(filled(page.read_text()))
    for name, made in FILES.items():
        (DOCS / "reference" / name).write_text(made())
