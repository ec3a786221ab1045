"""The rules a backend keeps, by number. The reference of the interface shows them, the suite cites them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RULES", "SECTIONS"]

SECTIONS: Final[Mapping[int, str]] = MappingProxyType({
    1: "The class",
    2: "Plans",
    3: "Submitting",
    4: "Observing",
    5: "Following",
    6: "Cancelling",
    7: "Results, logs and files",
    8: "Listing",
    9: "Capabilities",
    10: "Credentials",
    11: "Many at once",
})  # fmt: skip

RULES: Final[Mapping[str, str]] = MappingProxyType({
    "1.1": "a backend is a class derived from `Backend` with `backend_api`, a `name` and a `family`; an entry point "
           "that announces it has its name",
    "1.2": "every setting has a help text and a type that can be configured; credentials are declared with `secret()`",
    "1.3": "the keys of `words` are folded, and lead to a live state, to SUCCEEDED and to FAILED",
    "1.4": "every name in `options` has a help text, and an option that cannot be honoured is UnsupportedOption "
           "before any request",
    "2.1": "an operation is a generator that yields nothing but `Request` and `Call`",
    "2.2": "a plan does no I/O, reads no clock and never sleeps: what blocks goes into a `Call`",
    "2.3": "a backend keeps nothing about runs: a reference is enough, for another client too",
    "2.4": "sync and async see the same",
    "3.1": "a submission starts one run, by one request that is not repeatable",
    "3.2": "a submission gives the vendor's id, a text that is not empty",
    "3.3": "a submission whose answer is lost is SubmissionUncertain, and is not sent again",
    "3.4": "a submission whose answer is 2xx and cannot be read is SubmissionUncertain",
    "3.5": "a submission answered with 408, 502, 504 or 520, or with a 500 that is not the vendor's own, is "
           "SubmissionUncertain",
    "3.6": "a refused submission is an error that says who erred, and never SubmissionUncertain",
    "3.7": "a submission answered with 429, or with 503 and `Retry-After`, is sent again as often as configured, and "
           "is RateLimited or VendorError after that",
    "3.8": "a flow that the vendor itself says it has not is FlowNotFound",
    "3.9": "flow and parameters arrive at the vendor as they were given",
    "3.10": "a payload arrives at the vendor as it was given",
    "4.1": "an observation has the vendor's word as written, and each documented word means what is documented",
    "4.2": "a word that nobody knows neither raises nor changes the state, and `status_map` can teach it",
    "4.3": "a run that the vendor itself denies is RunNotFound",
    "4.4": "a 404 that is not the vendor's own is not RunNotFound",
    "4.5": "an answer that cannot be read is an error and says nothing about the run",
    "4.6": "408, 409, 422, 429 and 5xx are errors and say nothing about the run",
    "4.7": "401 is AuthenticationError, 403 is PermissionDenied",
    "4.8": "times are aware and in UTC; one that is missing, null, empty, zero or unreadable is None",
    "4.9": "progress is 0.0 to 1.0 or None, and never decides about the end",
    "4.10": "an answer without a word leaves the state as it was",
    "4.11": "ids that need encoding find their run",
    "4.12": "a request that the vendor may hold waits longer for its answer than the vendor may hold it",
    "5.1": "a wait ends at every final word, with the outcome it means",
    "5.2": "a wait goes on over live words, ends for a person, and goes on for an event",
    "5.3": "failures of contact, however long, leave the run as it was",
    "5.4": "a run that was seen and is gone is LOST, and how it stood before stays known",
    "6.1": "a cancellation the vendor shows as done is CONFIRMED, in every live state",
    "6.2": "a cancellation the vendor accepted is REQUESTED as long as the run lives, and the run CANCELLING",
    "6.3": "a cancellation that came after the end is TOO_LATE, and the run ended as it did",
    "6.4": "a cancellation of a run that the vendor denies is RunNotFound",
    "6.5": "a cancellation whose answer is lost is TransportError, or what a look afterwards shows",
    "6.6": "a cancellation that the vendor refuses is an error, and the run is as it was",
    "7.1": "a result is values that can be written as JSON, and agrees with how the run ended",
    "7.2": "an artifact downloads as the vendor has it",
    "7.3": "the lines of a log are those of the vendor, without line ends",
    "7.4": "an uploaded file arrives whole, and what stands for it is a text",
    "7.5": "a run that the vendor answers at its end has ended then, and its lost answer is SubmissionUncertain",
    "7.6": "a waiting run shows what it asks, and the answers arrive",
    "8.1": "a listing shows every run once, newest first, over pages to the end; where the vendor lists the runs of "
           "one flow at a time, a listing without a flow is InvalidRequest before any request",
    "8.2": "a listing ends at a page past the end, and one of nothing is empty",
    "8.3": "a listing by state or by flow shows those runs alone",
    "8.4": "a listing of flows shows every flow once, by the name that a submission takes",
    "8.5": "a description is of the flow asked for; of one the vendor itself says it has not, FlowNotFound",
    "8.6": "with RECONCILE, an uncertain submission is found by its key, or its run is among the candidates; a run of "
           "another submission is not taken for it",
    "9.1": "what `capabilities` announce is there",
    "9.2": "what is there is announced by `capabilities`",
    "9.3": "health raises nothing: it tells whether the vendor is there, and whether the credential is accepted",
    "10.1": "a credential travels in the headers of `authorize` or in a login, and nowhere else",
    "10.2": "no credential is in an event, an error, a log, a reference or what is kept of an answer, even if the "
            "vendor repeats it",
    "10.3": "a redirect is not followed",
    "10.4": "a credential that was refused is renewed once, and the request sent again with the new one",
    "11.1": "with BULK, the pages of what goes on show every run that goes on once, and none that has ended",
    "11.2": "with BULK, the pages of what has ended show every run that has once, newest first, and none that goes on",
    "11.3": "with BULK, pages come to an end: after a last one that is full, and where there is nothing",
    "11.4": "with BULK, a sighting has the word that a look at its run shows, and its message and progress, or none",
    "11.5": "with BULK, reading a sighting asks nobody; it says what it showed, and what a look says, or less",
})  # fmt: skip
"""What each rule says, in the order of their numbers."""
