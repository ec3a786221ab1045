"""Draw the state machine from its rules, as an SVG that needs nothing beside itself."""

from __future__ import annotations

from html import escape

from flowrunner.enums import RunState
from flowrunner.states import KINDS, RULES, Kind, Rule

BOXES = {
    Kind.OPEN: (20, 40, 170, 268, "live: any may follow any"),
    Kind.CANCELLING: (300, 40, 170, 68, "live"),
    Kind.LOST: (300, 240, 170, 68, "final, but may be left"),
    Kind.SINK: (580, 40, 170, 268, "final"),
}
"""Where the states of a kind stand (x, y, width, height in pixels), and what is said of them."""

ARROWS = {
    (Kind.OPEN, Kind.CANCELLING): (190, 78, 300, 78),
    (Kind.OPEN, Kind.SINK): (190, 174, 580, 174),
    (Kind.OPEN, Kind.LOST): (190, 262, 300, 262),
    (Kind.LOST, Kind.OPEN): (300, 286, 190, 286),
    (Kind.CANCELLING, Kind.SINK): (470, 78, 580, 78),
    (Kind.LOST, Kind.SINK): (470, 274, 580, 274),
    (Kind.CANCELLING, Kind.LOST): (360, 108, 360, 240),
    (Kind.LOST, Kind.CANCELLING): (410, 240, 410, 108),
}
"""Where the arrow runs from kind to kind; which are drawn is for the rules to say."""

COLOURS = {Kind.OPEN: "#2f6fde", Kind.CANCELLING: "#b26a00", Kind.LOST: "#777777", Kind.SINK: "#333333"}
ENDS = {RunState.SUCCEEDED: "#1a7f37", RunState.FAILED: "#cf222e", RunState.CANCELLED: "#b26a00"}

_FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 770 330" role="img" font-family="sans-serif">
<title>{title}</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0 10 5 0 10z" fill="#555"/></marker></defs>
<rect width="770" height="330" rx="8" fill="#fff"/>
{content}
</svg>
"""


def svg() -> str:
    """The picture: a box for each kind of state, and an arrow for each rule by which a run leaves it."""
    follows = [pair for pair, rule in RULES.items() if rule is Rule.TAKE and pair[0] is not pair[1]]
    start = '<circle cx="105" cy="12" r="6" fill="#555"/>' + _arrow(105, 18, 105, 49)
    content = [*map(_box, BOXES), start, *(_arrow(*ARROWS[pair]) for pair in follows)]
    title = "; ".join(f"{before} may be followed by {after}" for before, after in follows)
    return _FRAME.format(title=escape(title), content="\n".join(content))


def _box(kind: Kind) -> str:
    x, y, width, height, said = BOXES[kind]
    states = [state for state in RunState if KINDS[state] is kind]
    room = (height - 24) / len(states)
    shown = [_state(state, kind, x + 12, y + 6 + room * place, room) for place, state in enumerate(states)]
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" fill="#f6f8fa" stroke="#d0d7de"/>'
    where = f'x="{x + width / 2:g}" y="{y + height - 9}"'
    note = f'<text {where} font-size="11" fill="#57606a" text-anchor="middle">{said}</text>'
    return "\n".join([frame, note, *shown])


def _state(state: RunState, kind: Kind, x: float, y: float, room: float) -> str:
    height = min(room - 8, 36)
    top = y + (room - height) / 2 - 2
    colour = ENDS.get(state, COLOURS[kind])
    return (
        f'<rect x="{x:g}" y="{top:g}" width="146" height="{height:g}" rx="{height / 2:g}" fill="{colour}"/>'
        f'<text x="{x + 73:g}" y="{top + height / 2 + 4.5:g}" font-size="13" fill="#fff" text-anchor="middle">'
        f"{state.name}</text>"
    )


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1} {y1}L{x2} {y2}" stroke="#555" stroke-width="1.5" marker-end="url(#tip)"/>'
