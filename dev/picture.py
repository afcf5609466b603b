"""`make shape`: prints the figures of the house, and draws the picture in docs/architecture.md from its imports.

In the picture a box is a room; an arrow goes from who imports to what is imported.

A folder of modules is a room. Of the modules beside an app's folders, those that Django and the worker look for by name
are its doors and the others its ground; folders that the ground imports back, its models, are drawn as part of it. An
arrow that follows from others is left out.
"""

import re
import sys
from collections.abc import Collection, Iterator, Mapping

from dev.shape import ROOT, breaches, circles, imports, measures, modules

#: Where the picture stands.
PAGE = ROOT / "docs" / "architecture.md"
FRAME = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
#: What only developers run stands beside the house.
OUTSIDE = "dev"
#: What Django and the worker look for in an app.
DOORS = {"apps", "urls", "views", "admin", "jobs", "management", "templatetags"}

Graph = Mapping[str, set[str]]


def rooms_of(graph: Graph) -> dict[str, str]:
    """The room of each module: `app` (its ground), `app/folder` or `app/doors`; an app without folders is one room."""
    house = {name: name.split(".") for name in graph if not name.startswith(OUTSIDE)}
    folders = {(app, rest[0]) for app, *rest in house.values() if rest and (ROOT / app / rest[0]).is_dir()}
    divided = {app for app, folder in folders if folder not in DOORS}
    return {name: _room(app, rest[0] if rest else "", folders, divided) for name, (app, *rest) in house.items()}


def _room(app: str, part: str, folders: Collection[tuple[str, str]], divided: Collection[str]) -> str:
    if app not in divided:
        return app
    if part in DOORS and not (part == "admin" and (app, part) in folders):
        return f"{app}/doors"
    return f"{app}/{part}" if (app, part) in folders else app


def arrows_of(graph: Graph) -> dict[str, set[str]]:
    """From each room to those that it imports; rooms in a circle are one, by its shortest name."""
    rooms = rooms_of(graph)
    arrows: dict[str, set[str]] = {room: set() for room in rooms.values()}
    for name, room in rooms.items():
        arrows[room] |= {rooms[other] for other in graph[name] if other in rooms} - {room}
    one = {room: min(circle, key=len) for circle in circles(arrows) for room in circle}
    joined: dict[str, set[str]] = {}
    for room, others in arrows.items():
        name = one.get(room, room)
        joined.setdefault(name, set()).update({one.get(other, other) for other in others} - {name})
    return joined


def reduced(arrows: Graph) -> dict[str, set[str]]:
    """The arrows without those that follow from others; without circles there is one such picture."""

    def beyond(room: str) -> set[str]:
        return {further for other in arrows[room] for further in arrows[other] | beyond(other)}

    return {room: others - beyond(room) for room, others in arrows.items()}


def drawn(graph: Graph) -> Iterator[str]:
    """The lines of a Mermaid flowchart."""
    arrows = reduced(arrows_of(graph))
    yield "flowchart TD"
    for app in sorted({room.partition("/")[0] for room in arrows}):
        own = sorted(room for room in arrows if room.partition("/")[0] == app)
        if own == [app]:
            yield f"  {app}"
            continue
        yield f"  subgraph {app}_[{app}]"
        yield from (f"    {_key(room)}[{room.partition('/')[2] or 'ground'}]" for room in own)
        yield "  end"
    for room in sorted(arrows):
        yield from (f"  {_key(room)} --> {_key(other)}" for other in sorted(arrows[room]))


def _key(room: str) -> str:
    return room.replace("/", "_")


def page() -> str:
    """docs/architecture.md with today's picture."""
    picture = "\n".join(drawn(imports())) + "\n"
    return FRAME.sub(lambda _found: picture, PAGE.read_text(), count=1)


def main() -> int:
    """Print the figures and each breach, draw the picture; answers 1 when a rule is broken."""
    print(f"{len(modules())} modules, {sum(len(path.read_text().splitlines()) for path in modules())} lines")
    print(*measures(), sep="\n")
    broken = breaches()
    print(*(broken or ["no circles of imports; no rule is broken"]), sep="\n")
    PAGE.write_text(page())
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
