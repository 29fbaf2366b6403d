"""The diagrams that are rendered: of flows that happened, and of what code can do."""

import contextlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.runtime.flow_shop import FAILS, SERVICES, OrderPlaced, StockShort, place, sell
from tests.unit.graph import choreographed, drawn

from counterpoint import App, Event, ExecutionFailed, Service
from counterpoint.graph.event_graph import event_graph
from counterpoint.graph.event_mermaid import events_mermaid
from counterpoint.graph.event_picture import Picture, choreography_picture, events_picture
from counterpoint.graph.event_plantuml import events_plantuml
from counterpoint.graph.flow_mermaid import flow_mermaid
from counterpoint.graph.flow_plantuml import flow_plantuml
from counterpoint.graph.reading import read_workflow
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.sequence_plantuml import sequence_plantuml
from counterpoint.graph.telling import story as tell
from counterpoint.runtime.flow_story import story_of
from counterpoint.testing import Harness

LONG = 1_500
HOSTILE = "a;b#c</b>\nend\n@enduml %%{init} \\t** <<x>> __u__ == ' \" [[l]] {} ~ $x !y &amp; 漢字 ⚠"

strange = Service("strange")


@strange.event(key="text")
class Said(Event):
    text: str


@strange.activity
async def say(text: str) -> str:
    raise ValueError(text)


@strange.saga
async def talk(text: str) -> str:
    return await say(text)


@strange.on(Said)
async def hear(event: Said) -> None:
    raise TypeError(event.text)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One diagram in both languages."""

    name: str
    mermaid: str
    plantuml: str

    @property
    def long(self) -> bool:
        """It is drawn to be counted, not to be looked at."""
        return self.name.endswith("-long")


async def flows() -> list[Drawing]:
    """Return what happened in flows of every style, on virtual time."""
    FAILS.clear()
    async with Harness(services=[*SERVICES, strange]) as harness:
        app = harness.app
        FAILS.update({"authorize": 2, "void": 1})
        with contextlib.suppress(ExecutionFailed):
            await harness.run(place, "o-1", "gold", id="orchestrated")
        FAILS.update({"take_payment": 2, "give_back": 4})
        await app.publish(OrderPlaced(order="c", item="gold"), correlation_id="choreographed")
        await harness.idle()
        await app.publish(StockShort(order="c"), correlation_id="choreographed")
        await harness.idle()
        FAILS["authorize"] = 1
        await harness.run(sell, "m-1", id="mixed")
        await harness.idle()
        await app.publish(Said(text=HOSTILE[:150]), correlation_id="hostile")
        await app.start(talk, HOSTILE, id="hostile-start", correlation_id="hostile")
        await harness.idle()
        many = [OrderPlaced(order=f"k{number % 100}") for number in range(LONG)]
        await app.publish(*many, correlation_id="long")
        await harness.idle()
        found: list[Drawing] = []
        for flow_id in ("orchestrated", "choreographed", "mixed", "hostile", "long"):
            story = story_of(await app.flow(flow_id))
            name = f"flow-{flow_id}"
            found.append(Drawing(name, sequence_mermaid(story), sequence_plantuml(story)))
        entries = await app.execution("mixed").journal()
        told = tell("mixed", entries)
        found.append(Drawing("show-mixed", sequence_mermaid(told), sequence_plantuml(told)))
    FAILS.clear()
    return found


def code() -> list[Drawing]:
    """Return what `counterpoint draw` draws of the examples and of the strangest code there is."""
    found: list[Drawing] = []
    apps = [import_module(f"examples.{name}.app").app for name in ("shop", "trip")]
    apps.append(App("drawn", services=[drawn.shop, drawn.pay]))
    for app in apps:
        for name, workflow in sorted(app.registry.workflows.items()):
            read = read_workflow(workflow)
            found.append(Drawing(f"draw-{name}", flow_mermaid(read), flow_plantuml(read)))
    for app in [*apps[:2], *choreographed_apps()]:
        graph = event_graph(app.registry)
        if app.registry.contracts:
            found.append(_picture(f"events-{app.name}", events_picture(graph, app.name)))
        for choreography in app.choreographies.values():
            picture = choreography_picture(graph, choreography)
            found.append(_picture(f"choreography-{choreography.name}", picture))
    return found


def choreographed_apps() -> list[App]:
    """Return apps whose events the tests of drawings read."""
    own = App("flows", services=SERVICES)
    return [own, *(one for one in vars(choreographed).values() if isinstance(one, App))]


def _picture(name: str, picture: Picture) -> Drawing:
    return Drawing(name, events_mermaid(picture), events_plantuml(picture))


def write(drawings: list[Drawing], folder: Path) -> None:
    """Write the texts of all drawings."""
    for one in drawings:
        (folder / f"{one.name}.mmd").write_text(one.mermaid, encoding="utf-8")
        (folder / f"{one.name}.puml").write_text(one.plantuml, encoding="utf-8")
