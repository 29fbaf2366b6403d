"""Choreographies that cannot work, and what is said of them; sound ones that are let through."""

from itertools import pairwise
from typing import Any

import pytest

from counterpoint import App, Choreography, DefinitionError, Event, Service, activity, workflow

hidden: dict[Any, Any] = {}


class World:
    """Three services with two events each, made anew for every test."""

    def __init__(self) -> None:
        self.a, self.b, self.c = Service("a"), Service("b"), Service("c")
        self.all = [self.a, self.b, self.c]
        self.A1, self.A2 = event(self.a, "A1"), event(self.a, "A2")
        self.B1, self.B2 = event(self.b, "B1"), event(self.b, "B2")
        self.C1, self.C2 = event(self.c, "C1"), event(self.c, "C2")
        self.outside = event(self.c, "Outside", external=True)

    def react(self, service: Service, on: Any, name: str, returns: Any) -> None:
        async def reaction(event: Any) -> None: ...

        reaction.__annotations__ = {"event": on, "return": returns}
        reaction.__name__ = name
        service.on(on)(reaction)


def event(service: Service, name: str, **options: Any) -> Any:
    made = type(name, (Event,), {"__annotations__": {"k": str}, "__module__": __name__})
    return service.event(key="k", **options)(made)


@pytest.fixture
def world() -> World:
    return World()


def refusal(choreographies: Any, services: list[Service]) -> str:
    with pytest.raises(DefinitionError) as raised:
        App("app", services=services, choreographies=choreographies, store="memory:")
    return str(raised.value)


def flow(starts: Any, completes: Any, fails: Any = ()) -> list[Choreography]:
    return [Choreography("flow", starts=starts, completes=completes, fails=fails)]


def built(choreographies: list[Choreography], services: list[Service]) -> App:
    return App("app", services=services, choreographies=choreographies, store="memory:")


# ---- ends that are not reached ----------------------------------------------------------------


def test_a_reaction_that_is_missing_is_named_by_the_events_beside_it(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing emits it; what follows from a.A1 ends with b.B1, and "
        "nothing reacts to that"
    )


def test_a_reaction_to_what_nothing_emits_is_named(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)
    world.react(world.c, world.B1, "reserve", world.C1)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 returns it (c.reserve returns it "
        "and reacts to b.B1, which nothing emits); if somebody outside publishes b.B1, declare it "
        "with external=True"
    )


def test_an_explanation_goes_back_over_several_events(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)
    world.react(world.c, world.B1, "count", world.C2)
    world.react(world.c, world.C2, "reserve", world.C1 | None)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 returns it (c.reserve returns it "
        "and reacts to c.C2; c.count returns that and reacts to b.B1, which nothing emits); if "
        "somebody outside publishes b.B1, declare it with external=True"
    )


def test_a_circle_that_nothing_enters_is_named(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)
    world.react(world.c, world.B1, "count", world.C2 | world.B1)
    world.react(world.c, world.C2, "reserve", world.C1)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 returns it (c.reserve returns it "
        "and reacts to c.C2; c.count returns that and reacts to b.B1, which only follows from "
        "itself)"
    )


def test_an_explanation_ends_after_a_few_steps(world: World) -> None:
    events = [event(world.b, f"E{number}") for number in range(9)]
    for number, (before, after) in enumerate(pairwise(events)):
        world.react(world.b, before, f"step{number}", after)
    world.react(world.c, world.A1, "take", world.C1)

    assert refusal(flow(world.A1, events[8], world.C1), world.all) == (
        "flow never reaches b.E8: nothing that follows from a.A1 returns it (b.step7 returns it "
        "and reacts to b.E7; b.step6 returns that and reacts to b.E6; b.step5 returns that and "
        "reacts to b.E5; b.step4 returns that and reacts to b.E4, which nothing that is reached "
        "emits); if somebody outside publishes b.E0, declare it with external=True"
    )


def test_of_many_loose_ends_a_few_are_named(world: World) -> None:
    for number in range(9):
        world.react(world.b, world.A1, f"r{number}", event(world.b, f"E{number}"))

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing emits it; what follows from a.A1 ends with b.E0, b.E1, "
        "b.E2, b.E3 and 5 more, and nothing reacts to these"
    )


def test_children_that_call_each_other_and_are_never_started_are_named(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)

    @world.c.workflow(emits=[world.C1])
    async def child(k: str) -> None:
        await parent(k)

    @world.c.workflow
    async def parent(k: str) -> None:
        await child(k)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 emits it (c.child emits it and is "
        "called by c.parent; c.parent is called by c.child, which only follows from itself)"
    )


def test_a_saga_whose_event_never_comes_is_named_with_its_activity(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)

    @world.c.activity(emits=[world.C1])
    async def ship(k: str) -> None: ...

    async def deliver(event: Any) -> None:
        await ship("1")

    deliver.__annotations__["event"] = world.B1
    world.c.saga(on=world.B1)(deliver)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 emits it (c.ship emits it and is "
        "called by c.deliver; c.deliver is started by b.B1, which nothing emits); if somebody "
        "outside publishes b.B1, declare it with external=True"
    )


def test_a_workflow_that_no_event_starts_is_named(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)

    @world.c.workflow(emits=[world.C1])
    async def by_hand(k: str) -> None: ...

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 emits it (c.by_hand emits it and "
        "no event leads to it)"
    )


def test_an_activity_that_nobody_calls_is_named(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B2)

    @world.c.activity(emits=[world.C1])
    async def alone(k: str) -> None: ...

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing that follows from a.A1 emits it (c.alone emits it and "
        "nothing calls it)"
    )


def test_source_that_does_not_tell_what_it_publishes_is_named(world: World) -> None:
    async def deliver(event: Any) -> None:
        await workflow.publish(hidden[event])

    deliver.__annotations__["event"] = world.A1
    world.c.saga(on=world.A1)(deliver)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow never reaches c.C1: nothing emits it; return it from a reaction, or name it in "
        "emits= of what publishes it; what c.deliver does with `workflow.publish(hidden[event])` "
        "cannot be read from its source: name the classes there, or what it publishes in "
        "emits=[...]"
    )


def test_all_problems_are_told_at_once(world: World) -> None:
    assert refusal(flow(world.A1, world.C1, [world.B2]), world.all) == (
        "3 things are wrong with the choreographies:\n"
        "1. flow starts with a.A1, and nothing reacts to it: declare a reaction with "
        "@service.on(A1), or a saga(on=A1)\n"
        "2. flow never reaches c.C1: nothing emits it; return it from a reaction, or name it in "
        "emits= of what publishes it\n"
        "3. flow never reaches b.B2: nothing emits it; return it from a reaction, or name it in "
        "emits= of what publishes it"
    )


def test_problems_of_several_choreographies_are_told_at_once(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)
    first, second = flow(world.A1, world.C1), flow(world.A1, world.C2)
    second[0].name = "other"

    words = refusal([*first, *second], world.all).split("\n")

    assert words[0] == "2 things are wrong with the choreographies:"
    assert words[1].startswith("1. flow never reaches c.C1: ")
    assert words[2].startswith("2. other never reaches c.C2: ")


# ---- events that nobody emits -----------------------------------------------------------------


def waiting(world: World, kind: Any) -> None:
    async def deliver(event: Any) -> None:
        await workflow.event(kind, key="1")

    deliver.__annotations__["event"] = world.A1
    world.c.saga(on=world.A1, emits=[world.C1])(deliver)


def test_a_workflow_that_waits_for_what_nobody_emits_is_named(world: World) -> None:
    waiting(world, world.B1)

    assert refusal(flow(world.A1, world.C1), world.all) == (
        "flow stops in c.deliver, which waits for b.B1: nothing emits it; return it from a "
        "reaction, publish it in a workflow or an activity, or declare it with external=True if "
        "somebody outside publishes it"
    )


def test_an_external_event_needs_nobody_to_emit_it(world: World) -> None:
    waiting(world, world.outside)

    assert built(flow(world.A1, world.C1), world.all).choreographies["flow"].name == "flow"


def test_an_end_may_be_external_or_follow_from_what_is(world: World) -> None:
    world.react(world.b, world.A1, "take", None)
    world.react(world.b, world.outside, "settle", world.B1)

    assert built(flow(world.A1, [world.outside, world.B1]), world.all).choreographies


# ---- services that are not there --------------------------------------------------------------


def test_a_start_or_an_end_of_a_service_that_is_missing_is_named(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)

    assert refusal(flow(world.A1, world.B1, world.C1), [world.b]) == (
        "2 things are wrong with the choreographies:\n"
        "1. flow starts with a.A1, and the app has no service a: add it to App(services=[...])\n"
        "2. flow fails with c.C1, and the app has no service c: add it to App(services=[...])"
    )


def test_an_event_on_the_way_of_a_service_that_is_missing_is_named(world: World) -> None:
    world.react(world.c, world.A1, "take", world.B1)
    world.react(world.c, world.B1, "reserve", world.C1)

    assert refusal(flow(world.A1, world.C1), [world.a, world.c]) == (
        "flow goes through b.B1, which c.take emits, and the app has no service b: add it to "
        "App(services=[...])"
    )


def test_a_service_whose_reaction_is_missing_is_named_where_the_flow_breaks(world: World) -> None:
    world.react(world.c, world.A1, "take", world.B2)
    world.react(world.c, world.B1, "reserve", world.C1)

    assert refusal(flow(world.A1, world.C1), [world.a, world.c]) == (
        "flow never reaches c.C1: nothing that follows from a.A1 returns it (c.reserve returns it "
        "and reacts to b.B1, which nothing emits: the app has no service b)"
    )


def test_an_end_of_a_service_that_takes_no_part_is_named(world: World) -> None:
    world.react(world.c, world.A1, "take", world.B1)

    assert refusal(flow(world.A1, world.B1), world.all) == (
        "flow ends with b.B1, and b takes no part in it (c.take emits its event): let a reaction "
        "of b return it, or end with an event of a service that takes part"
    )


def test_an_end_of_another_class_under_the_same_name_is_named(world: World) -> None:
    other = World()
    world.react(world.b, world.A1, "take", world.B1)

    assert refusal(flow(world.A1, other.B1), world.all) == (
        "flow completes with b.B1, and the app knows another class as that event, one of "
        f"{__name__}"
    )


def test_an_end_that_the_apps_service_of_that_name_does_not_have_is_named(world: World) -> None:
    other = Service("b")
    ended = event(other, "Elsewhere")
    world.react(world.b, world.A1, "take", world.B1)

    assert refusal(flow(world.A1, ended), world.all) == (
        "flow completes with b.Elsewhere, which is no event of the app's service b: two services "
        "have that name, and the app has the other one"
    )


# ---- lists of choreographies ------------------------------------------------------------------


def test_two_choreographies_of_one_name_are_refused(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)
    both = [*flow(world.A1, world.B1), *flow(world.A1, world.B1)]

    assert refusal(both, world.all) == (
        "two choreographies are called flow: give one of them another name"
    )


def test_a_choreography_and_a_workflow_of_one_name_are_refused(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)

    @world.c.workflow(name="flow")
    async def some(k: str) -> None: ...

    assert refusal(flow(world.A1, world.B1), world.all) == (
        "a choreography and a workflow are both called flow"
    )


@pytest.mark.parametrize("given", [["flow"], 5, [None]], ids=str)
def test_what_is_no_list_of_choreographies_is_refused(world: World, given: Any) -> None:
    assert refusal(given, world.all).startswith(
        "App(choreographies=[...]) takes a list of choreographies, not "
    )


def test_a_choreography_without_its_list_is_refused(world: World) -> None:
    (one,) = flow(world.A1, world.B1)

    assert refusal(one, world.all) == (
        "App(choreographies=[...]) takes a list of choreographies, not <choreography flow>"
    )


# ---- what is sound ----------------------------------------------------------------------------


def test_choreographies_are_kept_by_name(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)
    (one,) = flow(world.A1, world.B1)

    assert built([one], world.all).choreographies == {"flow": one}
    assert App("app", services=world.all, store="memory:").choreographies == {}


def test_side_branches_may_end_nowhere_also_in_services_elsewhere(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)
    world.react(world.b, world.A1, "note", None)
    world.react(world.b, world.B1, "tell", world.C1)  # the service c is hosted by another app

    assert built(flow(world.A1, world.B1), [world.a, world.b]).choreographies


def test_events_may_go_round_in_loops(world: World) -> None:
    world.react(world.b, world.A1, "ask", world.B1 | world.B2)
    world.react(world.a, world.B1, "again", world.A1)

    assert built(flow(world.A1, world.B2), world.all).choreographies


def test_workflows_activities_and_waits_may_stand_in_the_middle(world: World) -> None:
    @world.b.activity
    async def charge(k: str) -> None:
        activity.publish(world.B1(k=k))

    async def pay(event: Any) -> None:
        await charge("1")

    async def ship(k: str) -> None:
        await workflow.event(world.B1, key=k)
        await workflow.publish(world.C1(k=k))

    pay.__annotations__["event"] = world.A1
    world.b.saga(on=world.A1)(pay)
    world.c.workflow(ship)

    assert built(flow(world.A1, world.C1), world.all).choreographies


def test_a_workflow_may_be_started_by_a_reaction(world: World) -> None:
    @world.c.workflow(emits=[world.C1])
    async def ship(k: str) -> None: ...

    async def take(event: Any) -> None:
        activity.start(ship, "1")

    take.__annotations__["event"] = world.A1
    world.b.on(world.A1)(take)

    assert built(flow(world.A1, world.C1), world.all).choreographies


def test_one_end_may_lead_to_another(world: World) -> None:
    world.react(world.b, world.A1, "take", world.B1)
    world.react(world.c, world.B1, "reserve", world.C1)

    assert built(flow(world.A1, world.C1, world.B1), world.all).choreographies


def test_a_service_of_contracts_alone_may_own_every_event(world: World) -> None:
    world.react(world.b, world.A1, "take", world.A2)

    assert built(flow(world.A1, world.A2), world.all).choreographies
