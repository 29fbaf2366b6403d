"""Declarations of choreographies: what they hold, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest

from counterpoint import Choreography, DefinitionError, Event, Service

shop = Service("shop")


@shop.event(key="order")
class Placed(Event):
    order: str


@shop.event(key="order")
class Done(Event):
    order: str


@shop.event(key="order")
class Broken(Event):
    order: str


class Undeclared(Event):
    order: str


def refusal(name: Any = "flow", **options: Any) -> str:
    given: dict[str, Any] = {"starts": Placed, "completes": Done, **options}
    with pytest.raises(DefinitionError) as raised:
        Choreography(name, **given)
    return str(raised.value)


def types(contracts: Any) -> list[str]:
    return [contract.type for contract in contracts]


def test_a_choreography_holds_the_contracts_of_its_events() -> None:
    flow = Choreography(
        "flow", starts=Placed, completes=[Done], fails=(Broken,), within=timedelta(seconds=5)
    )

    assert flow.starts.event_class is Placed
    assert types(flow.completes) == ["shop.Done"]
    assert types(flow.fails) == ["shop.Broken"]
    assert types(flow.ends) == ["shop.Done", "shop.Broken"]
    assert flow.within == timedelta(seconds=5)
    assert repr(flow) == "<choreography flow>"


def test_one_end_needs_no_list_and_all_but_start_and_completion_is_optional() -> None:
    flow = Choreography("flow", starts=Placed, completes=Done)

    assert types(flow.completes) == ["shop.Done"]
    assert flow.fails == ()
    assert flow.within is None


@pytest.mark.parametrize("name", ["", "1st", "a b", "a" * 65, "é", "a\n", "-a", None, 5], ids=repr)
def test_names_are_short_words(name: Any) -> None:
    assert refusal(name) == (
        f"{name!r} is not the name of a choreography: a letter, then letters, digits, '_', '-' or "
        "'.', 64 characters at most"
    )


def test_names_may_have_dots_and_dashes() -> None:
    assert Choreography("orders.full-filment_2", starts=Placed, completes=Done).name == (
        "orders.full-filment_2"
    )


@pytest.mark.parametrize("nothing", [[], ()], ids=repr)
def test_a_choreography_needs_an_end(nothing: Any) -> None:
    assert refusal(completes=nothing, fails=Broken) == (
        "the choreography flow has no end: name the event, or the events, with which it is done "
        "in completes=[...]"
    )


def test_a_choreography_has_one_start() -> None:
    assert refusal(starts=[Placed, Broken]) == (
        "the choreography flow: starts= takes one event, not several: write a choreography for "
        "each start"
    )


@pytest.mark.parametrize("what", ["starts", "completes", "fails"])
def test_an_event_without_a_contract_is_refused(what: str) -> None:
    assert refusal(**{what: Undeclared}) == (
        f"the choreography flow: {what}=: Undeclared has no contract: declare it with "
        "@service.event(key=...)"
    )


@pytest.mark.parametrize("what", ["starts", "completes", "fails"])
@pytest.mark.parametrize("thing", [None, 5, dict], ids=repr)
def test_what_is_no_event_is_refused(what: str, thing: Any) -> None:
    assert refusal(**{what: thing}) == (
        f"the choreography flow: {what}=: {thing!r} is not an event: a class that inherits from "
        "Event, declared with @service.event(key=...)"
    )


def test_the_name_of_an_event_is_no_event() -> None:
    assert refusal(completes="Done") == (
        "the choreography flow: completes=: 'Done' is not an event: a class that inherits from "
        "Event, declared with @service.event(key=...)"
    )
    assert refusal(starts="Placed").startswith("the choreography flow: starts=: 'Placed' is not")


@pytest.mark.parametrize("what", ["starts", "completes", "fails"])
def test_an_event_in_the_place_of_its_class_is_refused(what: str) -> None:
    assert refusal(**{what: Broken(order="1")}) == (
        f"the choreography flow: {what}= takes the class Broken, not one event of it"
    )


@pytest.mark.parametrize("what", ["completes", "fails"])
def test_an_end_that_is_also_the_start_is_refused(what: str) -> None:
    assert refusal(**{what: [Placed, Broken]}) == (
        "the choreography flow starts with shop.Placed and ends with it: an end is another event, "
        "one that follows from the start"
    )


def test_an_end_cannot_be_both_good_and_bad() -> None:
    assert refusal(fails=[Broken, Done]) == (
        "the choreography flow completes and fails with shop.Done: name it in one of them, or "
        "declare an event for each outcome"
    )


@pytest.mark.parametrize("what", ["completes", "fails"])
def test_an_end_that_is_named_twice_is_refused(what: str) -> None:
    assert refusal(**{what: [Broken, Broken]}) == (
        f"the choreography flow names shop.Broken twice in {what}="
    )


@pytest.mark.parametrize("within", [30, "30 s", 1.5], ids=repr)
def test_a_limit_is_a_timedelta(within: Any) -> None:
    assert refusal(within=within) == (
        f"the choreography flow: within={within!r} is no timedelta: within=timedelta(seconds=30)"
    )


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_limit_is_positive(seconds: int) -> None:
    assert refusal(within=timedelta(seconds=seconds)) == (
        "the choreography flow: within= is a positive timedelta, or None for any time"
    )
