"""`flowrunner resume`: answer a run that waits for a person."""

from __future__ import annotations

import json

import pytest

from flowrunner.cli import resume
from flowrunner.client import Run
from flowrunner.enums import WaitReason
from flowrunner.models import RunStatus
from flowrunner.simulator import SmartFlowId

NAME, LANGUAGE, SIGNATURE = (
    f"c3f1b7d2-5a64-4f0c-9d7e-2b8a1e6f0d01_1a2b3c4d-000{number}-4e5f-8a9b-0c1d2e3f4a5b" for number in "123"
)


@pytest.fixture
def vendor(serve):
    """A simulated Smart Flows."""
    return serve("smart-flows")


@pytest.fixture
def waiting(cli, vendor):
    """Start a run, and have it wait for a person; its reference."""

    def start(flow=SmartFlowId.ASKS_ONCE):
        ended = cli("run", "smart-flows", flow, "--wait", "--json")
        assert (ended.code, ended.record["error"]) == (5, "InputRequired")
        return ended.record["ref"]

    return start


@pytest.fixture
def person(monkeypatch):
    """Somebody at a terminal."""
    monkeypatch.setattr(resume, "is_interactive", lambda: True)


def answered(vendor):
    """What was sent as answers."""
    return [request.json for request in vendor.requests.matching("*/progress", "POST")]


def test_who_waits_is_told_how_to_answer(cli, vendor):
    """Exit code 5, and the command."""
    ended = cli("run", "smart-flows", SmartFlowId.ASKS_ONCE, "--wait")
    assert ended.code == 5
    assert f"\nAnswer it with:\n  flowrunner resume {ended.stdout.splitlines()[0]}\n" in ended.stderr


@pytest.mark.parametrize("name", [NAME, "Name"])
@pytest.mark.parametrize(
    ("file", "text"), [("a.json", '{{"{0}": "Ada"}}'), ("a.toml", '"{0}" = "Ada"'), ("a.yml", "{0}: Ada")]
)
def test_answers_from_a_file(cli, vendor, waiting, tmp_path, *, name, file, text):
    """By key or by title; what is left out stays as the vendor proposes. The run goes on."""
    ref = waiting()
    (tmp_path / file).write_text(text.format(name))
    ended = cli("resume", ref, "--answers", file)

    assert (ended.code, ended.fields["state"], ended.stderr) == (0, "running", "")
    assert answered(vendor) == [{NAME: "Ada", LANGUAGE: "English", SIGNATURE: True}]


def test_answers_from_stdin_and_the_end(cli, waiting):
    """With --wait it is followed to its end, and the exit code tells that; with --json, stdout is the result."""
    ended = cli("resume", waiting(), "--answers", "-", "--wait", "--json", stdin='{"Name": "Ada"}')
    assert (ended.code, ended.record["status"]["state"]) == (0, "succeeded")
    assert ended.record["artifacts"]


def test_a_run_that_asks_again(cli, waiting):
    """Exit code 5, and the command again."""
    ref = waiting(SmartFlowId.ASKS_TWICE)
    again = cli("resume", ref, "--answers", "-", "--wait", stdin='{"Name": "Ada"}')
    assert (again.code, f"flowrunner resume {ref}\n" in again.stderr) == (5, True)
    assert cli("resume", ref, "--answers", "-", "--wait", stdin='{"City of signing": "Gent"}').code == 0


@pytest.mark.parametrize(
    ("answers", "problems"),
    [
        ({}, {NAME: "has to be answered"}),
        ({"Nam": "Ada"}, {"Nam": "is not asked for: did you mean 'Name'?", NAME: "has to be answered"}),
        ({"Name": 5, "Language": "Latin"}, {NAME: "5 is not of type 'string'", LANGUAGE: "'Latin' is not one of"}),
    ],
)
def test_answers_that_do_not_fit(cli, vendor, waiting, answers, problems):
    """Each is named, by its title in the message; nothing is sent."""
    ended = cli("resume", waiting(), "--answers", "-", "--json", stdin=json.dumps(answers))

    assert (ended.code, ended.record["error"], ended.record["problems"].keys()) == (
        2,
        "InvalidParameters",
        problems.keys(),
    )
    assert all(ended.record["problems"][key].startswith(text) for key, text in problems.items())
    assert "the answers do not fit what is asked: Na" in ended.stderr
    assert answered(vendor) == []


def test_what_is_asked_is_shown(cli, vendor, waiting):
    """Each field with its key, what it takes and what is proposed; nothing is answered."""
    ref = waiting()
    text, found = cli("resume", ref, "--show"), cli("resume", ref, "--show", "--json").record

    assert (text.code, answered(vendor)) == (0, [])
    assert text.stdout.startswith("asks for  user_input\nmessage   Waiting for user input\n\nfield   Name\nkey     ")
    assert (
        f"\nkey       {LANGUAGE}\ntakes     one of: English, Nederlands\nneeded    no\nproposed  English\n"
        in text.stdout
    )
    assert text.stderr == f"Answer it at a terminal, or with --answers FILE, by:\n  flowrunner resume {ref}\n"
    assert (found["ref"], found["model"][LANGUAGE], found["status"]["reason"]) == (ref, "English", "user_input")
    assert found["schema"]["properties"].keys() == {NAME, LANGUAGE, SIGNATURE}
    assert found["form"]


def test_a_person_fills_in_a_form(cli, vendor, waiting, person):
    """What is proposed stands there; what is no answer is asked again. It is all on stderr."""
    ended = cli("resume", waiting(), stdin="\nAda\nLatin\n2\nmaybe\nno\n")

    assert (ended.code, ended.fields["state"]) == (0, "running")
    assert answered(vendor) == [{NAME: "Ada", LANGUAGE: "Nederlands", SIGNATURE: False}]
    assert "Waiting for user input\nName: \nError: there has to be an answer.\nName: " in ended.stderr
    assert "  1  English\n  2  Nederlands\nLanguage [English]: " in ended.stderr
    assert "Error: it has to be one of these, or its number from 1 to 2.\n" in ended.stderr


def test_what_is_proposed_is_kept_by_return(cli, vendor, waiting, person):
    """Nothing else has to be typed."""
    assert cli("resume", waiting(), stdin="Ada\n\n\n").code == 0
    assert answered(vendor) == [{NAME: "Ada", LANGUAGE: "English", SIGNATURE: True}]


def test_a_flow_is_chosen_by_its_name(cli, vendor, waiting, person):
    """The vendor shows ids alone: the names come from its list of flows, if that can be had."""
    ref = waiting(SmartFlowId.CHOOSE)
    vendor.respond_next("*/flows", 403)
    without = cli("resume", ref, "--show")
    ended = cli("resume", ref, stdin="2\n")

    assert f"takes   one of: {SmartFlowId.REPORT}, " in without.stdout
    assert f"  2  Nightly summary ({SmartFlowId.NO_INPUT})\n" in ended.stderr
    assert answered(vendor) == [{"flow": SmartFlowId.NO_INPUT}]


def test_ctrl_c_in_the_form_sends_nothing(cli, vendor, waiting, person):
    """Exit code 130; so does the end of what is typed."""
    ended = cli("resume", waiting(), stdin="Ada\n")
    assert (ended.code, answered(vendor)) == (130, [])


# --- what only some vendors ask


SECRET = {
    "schema": {
        "type": "object",
        "required": ["word"],
        "properties": {
            "word": {"type": "string", "format": "password", "title": "Password", "minLength": 4},
            "age": {"type": "integer", "maximum": 150, "title": "Age", "description": "in years"},
        },
    },
    "model": {},
    "form": [],
}


@pytest.fixture
def secret(vendor, waiting):
    """A run that asks for a password and an age, whatever it asked before."""
    ref = waiting()
    vendor.respond_next("*/progress", 200, {"id": "x", "status": "UserInput", **SECRET}, method="GET", times=99)
    return ref


def test_a_secret_is_not_shown(cli, vendor, secret):
    """Nor is one that does not fit; other values are."""
    ended = cli("resume", secret, "--answers", "-", "--json", stdin='{"Password": "hus", "Age": 151}')
    assert ended.record["problems"] == {"word": "does not fit", "age": "151 is greater than the maximum of 150"}
    assert "hus" not in ended.stdout + ended.stderr


def test_answers_that_do_not_fit_are_asked_again(cli, vendor, secret, person):
    """Only those, with what was answered before, unless that is a secret."""
    ended = cli("resume", secret, stdin="hus\n200\nhush\n30\n")

    assert "the answers do not fit what is asked: Password does not fit; Age 200 is greater" in ended.stderr
    assert "Age (in years, may be empty) [200]: " in ended.stderr
    assert answered(vendor) == [{"word": "hush", "age": 30}]
    assert "hus" not in ended.stdout + ended.stderr


def test_an_answer_that_fits_is_kept(cli, vendor, secret, person):
    """Only the other one is asked again."""
    ended = cli("resume", secret, stdin="hush\n200\n7\n")
    assert (ended.code, ended.stderr.count("Password: ")) == (0, 1)
    assert answered(vendor) == [{"word": "hush", "age": 7}]


def test_what_the_vendor_refuses_is_asked_again(cli, vendor, secret, person, monkeypatch):
    """All of it, where it does not say which."""
    from flowrunner.errors import InvalidParameters

    sent, refusals = [], [InvalidParameters("no good", problems={"answers": "are no good"})]

    def resumed(self, answers):
        sent.append(dict(answers))
        if refusals:
            raise refusals.pop()
        return self.status

    monkeypatch.setattr(Run, "resume", resumed)
    ended = cli("resume", secret, stdin="hush\n\nquiet\n7\n")
    assert (ended.code, sent) == (0, [{"word": "hush"}, {"word": "quiet", "age": 7}])
    assert "the answers do not fit what is asked: answers are no good" in ended.stderr


# --- what cannot be answered


def test_a_run_that_waits_for_nobody(cli, vendor):
    """Exit code 2, and how it stands."""
    ref = cli("run", "smart-flows", SmartFlowId.NO_INPUT, "--wait", "--json").record["ref"]
    ended = cli("resume", ref, "--show", "--json")
    assert (ended.code, ended.record["message"]) == (2, "the run is succeeded and does not wait for an answer")


def test_a_run_that_was_answered_meanwhile(cli, waiting, monkeypatch):
    """Between two looks: it waits for nobody any more."""
    ref = waiting()
    monkeypatch.setattr(Run, "wait", lambda *_: None)
    ended = cli("resume", ref, "--show")
    assert (ended.code, "does not wait for an answer" in ended.stderr) == (2, True)


def test_a_vendor_that_asks_nobody(cli, simulator):
    """Exit code 2: it has no such runs."""
    simulator.pool.submit("Demo/work.fmw")
    ended = cli("resume", "sim", "1", "--show")
    assert (ended.code, "'fme-flow-v4' cannot answer a run that waits for a person" in ended.stderr) == (2, True)


def test_a_question_that_cannot_be_read(cli, vendor, waiting, monkeypatch):
    """It waits, exit code 5, and the reason stands below; no empty form is shown."""
    from flowrunner import InputRequired

    error = InputRequired("the run waits", status=RunStatus(reason=WaitReason.USER_INPUT))
    error.add_note("What it asks could not be read: 500")
    ref = waiting()

    def asked(*_):
        raise error

    monkeypatch.setattr(Run, "wait", asked)
    ended = cli("resume", ref, "--show")
    assert (ended.code, ended.stdout) == (5, "")
    assert "What it asks could not be read: 500" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--show", "--answers", "a.json"], "--show answers nothing"),
        (["--show", "--wait"], "--show answers nothing"),
        (["--answers", "a.json", "--timeout", "3"], "give --wait, too"),
        ([], "There is no terminal to ask at: see with --show what is asked, and give --answers."),
        (["--answers", "a.txt"], "ends in none of"),
    ],
)
def test_what_does_not_go_together(cli, vendor, arguments, problem):
    """Exit code 2, and nothing is asked of the vendor."""
    ended = cli("resume", "smart-flows", "x", *arguments)
    assert (ended.code, problem in ended.stderr, vendor.requests.matching()) == (2, True, [])
