"""The README's configuration works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import flowrunner
from flowrunner_local.backend import Local

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_configuration_works(tmp_path):
    """As it is written there: a run of the first flow, with its parameter, progress and file."""
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    table = tomllib.loads(block)["connections"]["here"]
    with flowrunner.connect(
        "here", config={"connections": {"here": table | {"folder": str(tmp_path / "state")}}}
    ) as client:
        assert [info.flow for info in client.flows()] == ["greet", "sleep"]
        result = client.run("greet", {"NAME": "Ada"}, timeout=30)
        assert (result.status.progress, result.status.message) == (0.5, "looking for a name")
        assert result.artifacts[0].download(tmp_path).read_text() == "Hello Ada\n"


def test_the_lines_of_a_run_are_printed(tmp_path, monkeypatch, capsys):
    """The program, beside the configuration, both as they are written there."""
    (configuration,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "flowrunner.toml").write_text(configuration, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert capsys.readouterr().out == "::progress 50 looking for a name\n"


def test_every_word_is_explained():
    """With the state that it means."""
    rows = re.findall(r"^\| `([a-z ]+)` \| (\w+)", README, re.MULTILINE)
    assert {word.replace(" ", ""): state.lower() for word, state in rows} == {
        word: meaning.state for word, meaning in Local.words.items()
    }
