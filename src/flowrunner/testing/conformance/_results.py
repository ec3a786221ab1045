"""Section 7 of the rules: results, logs and files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from flowrunner.backend import Capability
from flowrunner.enums import RunState
from flowrunner.errors import InputRequired, SubmissionUncertain
from flowrunner.states import NEED_PEOPLE
from flowrunner.testing.conformance.scenario import Scenario
from flowrunner.testing.conformance.verdict import broken, holds, proves
from flowrunner.testing.conformance.world import lost, submissions

CONTENT = b"\x00\xff made by a run \xc3\xa4\r\n" * 1000
LINES = ["the first line", "", "Größe & <mehr>", "the last line"]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}


class ResultRules(Scenario):
    """What a run made, and the files around it."""

    @proves("7.1")
    def test_7_1_a_result_is_json_and_agrees(self) -> None:
        """However the run ended."""
        for word in self.final_words():
            meaning = self.meanings()[word]
            with self.world() as world:
                result = self.shown(world, world.client(), word).result()
                json.dumps(result.to_dict())
                state = result.status.state
                holds("7.1", meaning and state is meaning.state, f"the result of a run at {word!r} says {state}")

    @proves("7.2")
    def test_7_2_an_artifact_downloads(self) -> None:
        """Byte by byte, into a folder."""
        self.needs(Capability.ARTIFACTS)
        with self.world() as world, tempfile.TemporaryDirectory() as folder:
            word = self.word_for(RunState.SUCCEEDED)
            run = self.shown(world, world.client(), word, files={"räport & co.bin": CONTENT})
            artifacts = run.result().artifacts
            holds("7.2", len(artifacts) == 1, f"of one file there are {len(artifacts)} artifacts")
            path = artifacts[0].download(folder)
            holds("7.2", path.parent == Path(folder), f"the artifact was put to {path}")
            holds("7.2", path.read_bytes() == CONTENT, f"{path.stat().st_size} bytes came, of {len(CONTENT)}")

    @proves("7.3")
    def test_7_3_the_lines_of_a_log(self) -> None:
        """All of them, in order, letters of any alphabet."""
        self.needs(Capability.LOGS)
        with self.world() as world:
            run = self.shown(world, world.client(), self.word_for(RunState.SUCCEEDED), log=LINES)
            lines = list(run.logs())
            holds("7.3", lines == LINES, f"the lines are {lines!r}")

    @proves("7.4")
    def test_7_4_an_upload_arrives(self) -> None:
        """Whole, and with a text to refer to it by."""
        self.needs(Capability.UPLOAD)
        with self.world() as world, tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "räport & co.bin")
            path.write_bytes(CONTENT)
            remote = world.client().upload(path)
            holds("7.4", CONTENT in world.server.uploaded.values(), f"the vendor has {list(world.server.uploaded)}")
            holds("7.4", isinstance(str(remote), str) and str(remote), f"it is referred to by {remote!r}")

    @proves("7.5")
    def test_7_5_a_run_that_the_vendor_waits_for(self) -> None:
        """It has ended when the answer comes; whose answer is lost, is uncertain."""
        self.needs(Capability.SERVER_WAIT)
        with self.world() as world:
            result = world.client().run(self.server.flow, server_wait=True, timeout=60, raise_on_failure=False)
            holds("7.5", result.status.state.is_final, f"it was answered, and the run is {result.status.state}")
            holds("7.5", world.server.started == 1, f"{world.server.started} runs were started")
        with self.world() as world:
            client = world.client()
            try:
                with world.going_wrong(lost, only=submissions):
                    client.run(self.server.flow, server_wait=True, timeout=60)
            except SubmissionUncertain:
                holds("7.5", world.server.started == 1, f"{world.server.started} runs were started")
            else:
                broken("7.5", "its answer was lost, and it was said how it ended")

    @proves("7.6")
    def test_7_6_a_question_and_its_answers(self) -> None:
        """Schema and defaults are shown; the answers arrive whole, laid over the defaults."""
        self.needs(Capability.RESUME)
        word = next(word for word, meaning in self.meanings().items() if meaning and meaning.reason in NEED_PEOPLE)
        question = {"schema": SCHEMA, "model": {"name": "nobody", "size": 3}}
        with self.world() as world:
            run = self.shown(world, world.client(), word, question=question)
            try:
                run.wait(timeout=60)
            except InputRequired as required:
                shown = {"schema": required.schema, "model": required.model}
                holds("7.6", shown == question, f"what is asked is shown as {shown}")
            run.resume({"name": "Ada Größe"})
            asked = world.server.find(run.id)
            answers = asked and asked.answers
            holds("7.6", answers == {"name": "Ada Größe", "size": 3}, f"the answers arrived as {answers!r}")
