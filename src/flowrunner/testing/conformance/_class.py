"""Section 1 of the rules: the class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from attrs import asdict, fields

from flowrunner.config.settings import declared
from flowrunner.enums import RunState
from flowrunner.errors import FlowrunnerError, UnsupportedOption
from flowrunner.models import SubmitOptions
from flowrunner.states import Meaning, fold
from flowrunner.testing.conformance.scenario import LIVE, Scenario
from flowrunner.testing.conformance.verdict import broken, holds, proves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.testing.conformance.world import World

CREDENTIAL: Final = re.compile(r"(?i)token|password|passwd|secret|api_?key|credential")
"""What settings are called that hold a credential."""

OPTIONS: Final[Mapping[str, Any]] = {
    "queue": "a queue",
    "description": "a description",
    "max_run_time": 7919.0,
    "max_queue_time": 7907.0,
    "success_topics": ("good",),
    "failure_topics": ("bad",),
    "directives": {"name": "value"},
}
"""A value for each option that every backend is asked for."""


class ClassRules(Scenario):
    """What can be said of a backend without running anything on it."""

    @proves("1.1")
    def test_1_1_the_class_is_a_backend(self) -> None:
        """It says its name, its family and what it was written for, and is found by that name."""
        problem = self.class_problem()
        holds("1.1", problem is None, f"{problem}")

    @proves("1.2")
    def test_1_2_settings_are_documented(self) -> None:
        """Each has a help text, and what is called like a credential is a `Secret`."""
        known = declared(self.backend.settings_class)
        helps = {attribute.alias: attribute.metadata.get("help") for attribute in fields(self.backend.settings_class)}
        for name, setting in known.items():
            holds("1.2", helps[name], f"the setting {name!r} has no help text: declare it with setting() or secret()")
            is_hidden = setting.is_secret or not CREDENTIAL.search(name)
            holds("1.2", is_hidden, f"the setting {name!r} looks like a credential: declare it with secret()")
        holds("1.2", set(self.settings) <= set(known), f"the settings of the test are not declared: {self.settings}")

    @proves("1.3")
    def test_1_3_words_are_folded_and_lead_somewhere(self) -> None:
        """The table of words can be looked up in, and has a life and two ends."""
        words: Any = self.backend.words
        for word, meaning in words.items():
            holds("1.3", word == fold(word), f"the key {word!r} is to be written {fold(word)!r}")
            holds("1.3", isinstance(meaning, Meaning), f"{word!r} means {meaning!r}, which is no Meaning")
        reached = {meaning.state for meaning in words.values()}
        holds("1.3", reached & LIVE, "no word means that a run lives")
        for state in (RunState.SUCCEEDED, RunState.FAILED):
            holds("1.3", state in reached, f"no word means {state}")

    @proves("1.4")
    def test_1_4_options_are_honoured_or_refused(self) -> None:
        """An option changes what is sent, or is refused before anything is; none is dropped."""
        for name, text in self.backend.options.items():
            holds("1.4", text, f"the option {name!r} has no help text")
        for name, value in OPTIONS.items():
            self._honours_or_refuses(name, SubmitOptions(**{name: value}))
        self._honours_or_refuses("extra", SubmitOptions(extra={"no_such_option_anywhere": 1}))

    def _honours_or_refuses(self, name: str, options: SubmitOptions) -> None:
        with self.world() as world:
            client = world.client()
            plain = [self._sent(world, client) for _ in range(2)]
            try:
                sent = self._sent(world, client, options=options)
            except UnsupportedOption:
                holds("1.4", not world.sent, f"the option {name} was refused after a request")
            except FlowrunnerError as error:
                broken("1.4", f"the option {name} raised {type(error).__name__}: {error}")
            else:
                # Where submissions differ anyhow, by a number of their own, its value has to be seen.
                differs = sent not in plain if plain[0] == plain[1] else _shows(sent, options)
                holds("1.4", not sent or differs, f"the option {name} was dropped: raise UnsupportedOption")

    def _sent(self, world: World, client: Any, **arguments: Any) -> list[tuple[str, bytes, dict[str, str]]]:
        """What goes out for a submission; nothing of a backend that sends no requests."""
        world.sent.clear()
        self.submitted(client, **arguments)
        return [(each.url, each.body, dict(each.headers)) for each in world.sent if not each.repeatable]


def _shows(sent: list[tuple[str, bytes, dict[str, str]]], options: SubmitOptions) -> bool:
    """Whether the value of the one option that is set stands in what was sent."""
    (value,) = (each for each in asdict(options).values() if each not in (None, (), {}))
    words = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
    text = unquote_plus(repr(sent))
    return all(f"{word:g}" in text if isinstance(word, float) else str(word) in text for word in words)
