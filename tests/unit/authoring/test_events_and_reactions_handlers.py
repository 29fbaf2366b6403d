"""Reactions, workflows that events start, and what is published: what is refused, and how."""

import threading
from datetime import timedelta
from types import GenericAlias
from typing import Annotated, Any, List, NoReturn, Optional, Sequence, Tuple, Union  # noqa: UP035

import pytest
from typing_extensions import TypeAliasType

from counterpoint import App, DefinitionError, Event, Retry, Service
from counterpoint.authoring.reaction import Reaction, Shape, shape_of
from counterpoint.errors import ArgumentsError, PayloadError

facts = Service("facts")


@facts.event(key="key")
class A(Event):
    key: str


@facts.event(key="key")
class B(Event):
    key: str


@facts.event(key="key")
class C(Event):
    key: str


class Undeclared(Event):
    key: str


class Later(A):
    pass


Alias = TypeAliasType("Alias", A | B)

SHAPES = (
    "a reaction returns the events that follow from it: annotate it with `-> A | B` (one of them), "
    "`-> A | None` (perhaps), `-> tuple[A, B]` (both), `-> list[A | B]` (any number) or `-> None`"
)


def reaction(returns: Any, takes: Any = A, service: Service | None = None, **options: Any) -> Any:
    async def react(event: Any) -> Any: ...

    react.__annotations__ = {"event": takes, "return": returns}
    return (service or Service("shop")).on(A, **options)(react)


def refusal(function: Any, **options: Any) -> str:
    with pytest.raises(DefinitionError) as raised:
        Service("shop").on(A, **options)(function)
    return str(raised.value)


# ---- reactions --------------------------------------------------------------------------------


def test_a_reaction_holds_what_was_declared() -> None:
    shop = Service("shop")
    retry = Retry(max_attempts=2)

    @shop.on(
        A,
        retry=retry,
        timeout=timedelta(seconds=3),
        lane="slow",
        on_dead="skip",
        start="beginning",
        concurrency=4,
    )
    async def note(event: A) -> B | C | None: ...

    assert shop.reactions == {"shop.note": note}
    assert (note.name, note.service, note.event) == ("shop.note", "shop", A)
    assert (note.lane, note.on_dead, note.start, note.concurrency) == (
        "slow",
        "skip",
        "beginning",
        4,
    )
    assert (note.retry, note.timeout) == (retry, timedelta(seconds=3))
    assert note.emits == (B, C)
    assert repr(note) == "<reaction shop.note>"


def test_a_reaction_parks_and_begins_now_unless_told_otherwise() -> None:
    found = reaction(None)

    assert (found.lane, found.on_dead, found.start, found.concurrency) == ("", "park", "now", None)
    assert found.timeout == timedelta(minutes=5)


async def test_a_reaction_called_by_hand_is_an_ordinary_call() -> None:
    shop = Service("shop")
    threads: list[int] = []

    @shop.on(A)
    async def awaited(event: A) -> B:
        return B(key=event.key)

    @shop.on(A)
    def in_a_thread(event: A) -> B:
        threads.append(threading.get_ident())
        return B(key=event.key)

    assert await awaited(A(key="1")) == B(key="1")
    assert await in_a_thread(A(key="2")) == B(key="2")
    assert threads != [threading.get_ident()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_dead": "drop"}, 'shop.react: on_dead= is "park" or "skip"'),
        ({"start": "end"}, 'shop.react: start= is "now" or "beginning", not \'end\''),
        ({"lane": 5}, "shop.react: the name of a lane is text, not int"),
        (
            {"lane": "a" * 201},
            "shop.react: the name of a lane has at most 200 characters, not 201",
        ),
        ({"concurrency": 0}, "shop.react: concurrency= is at least 1"),
        ({"retry": 3}, "shop.react: retry= takes a Retry, not 3: Retry(max_attempts=3)"),
        ({"timeout": 3}, "shop.react: timeout=3 is no timedelta: timedelta(seconds=5)"),
        (
            {"timeout": timedelta(0)},
            "shop.react: timeout= is a positive timedelta, or None for no limit",
        ),
        (
            {"name": "a" * 201},
            "the name of a reaction has at most 200 characters, not 201; pass another with name=",
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)
def test_options_that_make_no_sense_are_refused(options: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        reaction(None, **options)

    assert str(raised.value) == words


@pytest.mark.parametrize("thing", [Undeclared, Event, Later], ids=lambda cls: str(cls.__name__))
def test_a_reaction_to_an_event_without_contract_is_refused(thing: Any) -> None:
    with pytest.raises(DefinitionError) as raised:
        Service("shop").on(thing)

    assert str(raised.value) == (
        f"{thing.__name__} has no contract: declare it with @service.event(key=...)"
    )


def test_a_reaction_without_its_event_is_refused() -> None:
    on: Any = Service("shop").on

    with pytest.raises(DefinitionError, match=r"is not an event: a class that inherits from Event"):
        on(lambda event: None)


def test_two_reactions_of_one_name_are_refused() -> None:
    shop = Service("shop")
    reaction(None, service=shop)

    with pytest.raises(DefinitionError) as raised:
        reaction(None, service=shop)

    assert str(raised.value) == "two reactions are called shop.react; pass name= to one"


def test_one_name_in_two_services_and_beside_a_workflow_is_refused() -> None:
    first, second, third = Service("first"), Service("second"), Service("third")
    reaction(None, service=first, name="same")
    reaction(None, service=second, name="same")

    @third.saga(on=A, name="same")
    async def saga(event: A) -> None: ...

    with pytest.raises(DefinitionError, match=r"^two reactions are called same; pass name= to one"):
        App("app", services=[first, second], store="memory:")
    with pytest.raises(DefinitionError, match=r"^a reaction and a workflow are both called same"):
        App("app", services=[first, third], store="memory:")


# ---- what it takes ----------------------------------------------------------------------------


def test_the_parameter_may_take_more_than_the_event() -> None:
    for takes in (A, A | B, Event, Any, object, Annotated[A, "noted"]):
        assert reaction(None, takes=takes).parameter == "event"


@pytest.mark.parametrize("takes", [B, Later, str, B | str, None], ids=str)
def test_a_parameter_that_takes_something_else_is_refused(takes: Any) -> None:
    with pytest.raises(DefinitionError) as raised:
        reaction(None, takes=takes)

    assert str(raised.value).startswith("shop.react is declared on A and takes ")
    assert str(raised.value).endswith(": annotate event: A")


def test_parameters_with_defaults_are_left_to_the_caller() -> None:
    shop = Service("shop")

    @shop.on(A)
    async def react(placed: A, limit: int = 5) -> None: ...

    assert react.parameter == "placed"


async def nothing() -> None: ...
async def two(event: A, other: str) -> None: ...
async def named(*, event: A) -> None: ...
async def any_number(*event: A) -> None: ...


@pytest.mark.parametrize(
    "function", [nothing, two, named, any_number], ids=lambda function: str(function.__name__)
)
def test_a_reaction_takes_the_event_and_nothing_else(function: Any) -> None:
    name = function.__name__
    assert refusal(function) == (
        f"shop.{name}: a reaction takes the event and nothing else: ({name}(event: A))"
    )


async def yields(event: A) -> Any:
    yield A(key="1")


class Called:
    def __call__(self, event: A) -> None: ...


def test_what_is_no_function_is_refused() -> None:
    assert refusal(yields) == "shop.yields is a generator: return a value, do not yield several"
    assert refusal(Called()) == ("shop.Called is not a function declared with `def` or `async def`")


# ---- what it returns --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "kind", "parts", "optional", "words"),
    [
        (A, "one", ((A,),), False, "A"),
        (A | B, "one", ((A, B),), False, "A | B"),
        (Union[A, B], "one", ((A, B),), False, "A | B"),  # noqa: UP007
        (A | None, "one", ((A,),), True, "A | None"),
        (Optional[A], "one", ((A,),), True, "A | None"),  # noqa: UP045
        (A | B | None, "one", ((A, B),), True, "A | B | None"),
        (tuple[A, B], "both", ((A,), (B,)), False, "tuple[A, B]"),
        (Tuple[A, B], "both", ((A,), (B,)), False, "tuple[A, B]"),  # noqa: UP006
        (tuple[A | B, C], "both", ((A, B), (C,)), False, "tuple[A | B, C]"),
        (tuple[A, B] | None, "both", ((A,), (B,)), True, "tuple[A, B] | None"),
        (list[A], "many", ((A,),), False, "list[A]"),
        (List[A | B], "many", ((A, B),), False, "list[A | B]"),  # noqa: UP006
        (list[A] | None, "many", ((A,),), True, "list[A] | None"),
        (None, "one", ((),), True, "None"),
        (Alias, "one", ((A, B),), False, "A | B"),
    ],
    ids=str,
)
def test_annotations_say_which_events_follow(
    hint: Any, kind: Any, parts: Any, optional: bool, words: str
) -> None:
    shape = reaction(hint).shape

    assert shape == Shape(kind, parts, optional)
    assert str(shape) == words


def test_an_event_that_may_stand_at_several_places_is_emitted_once() -> None:
    assert reaction(tuple[A | B, B]).emits == (A, B)


@pytest.mark.parametrize(
    "hint",
    [
        *(str, Any, dict, list, tuple, object, NoReturn, A | str, Sequence[A], dict[str, A]),
        *(tuple[A, ...], tuple[()], list[A | None], tuple[A | None, B], list[A] | B, list[Any]),
        *(List[Undeclared | int], GenericAlias(list, (A, B)), type[A]),  # noqa: UP006
    ],
    ids=str,
)
def test_any_other_annotation_is_refused_at_decoration(hint: Any) -> None:
    with pytest.raises(DefinitionError) as raised:
        reaction(hint)

    assert str(raised.value) == f"shop.react returns {hint!r}; {SHAPES}"
    assert shape_of(hint) is None


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (Undeclared, "Undeclared"),
        (Event, "Event"),
        (Later, "Later"),
        (list[A | Undeclared], "Undeclared"),
    ],
    ids=str,
)
def test_an_event_without_contract_is_refused_at_decoration(hint: Any, name: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        reaction(hint)

    assert str(raised.value) == (
        f"shop.react returns {name}: {name} has no contract: declare it with "
        "@service.event(key=...)"
    )


def test_a_reaction_without_return_annotation_is_refused() -> None:
    async def react(event: A): ...  # type: ignore[no-untyped-def]  # what users write

    assert refusal(react) == f"shop.react has no return annotation; {SHAPES}"


def test_an_annotation_that_is_no_python_is_refused() -> None:
    with pytest.raises(DefinitionError) as raised:
        reaction("1 +")

    assert str(raised.value).startswith("shop.react: its annotations cannot be read: SyntaxError: ")


def test_what_is_declared_further_down_is_read_when_the_app_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Service("shop")
    found: Reaction[Any, Any] = reaction("Below | None", service=shop)
    monkeypatch.setitem(globals(), "Below", B)

    App("app", services=[shop], store="memory:")

    assert found.emits == (B,)


def test_what_is_declared_nowhere_is_refused_when_the_app_is_built() -> None:
    shop = Service("shop")
    reaction("Nowhere", service=shop)

    with pytest.raises(DefinitionError) as raised:
        App("app", services=[shop], store="memory:")

    assert str(raised.value) == (
        f"shop.react: the annotation names 'Nowhere', which is not defined in the module {__name__}"
    )


a, b, c = A(key="1"), B(key="1"), C(key="1")


@pytest.mark.parametrize(
    ("hint", "value", "events"),
    [
        (A | B, b, (b,)),
        (A | None, None, ()),
        (tuple[A, B], (a, b), (a, b)),
        (tuple[A, B] | None, None, ()),
        (list[A | B], [], ()),
        (list[A | B], [b, a, b], (b, a, b)),
        (None, None, ()),
    ],
    ids=str,
)
def test_the_events_in_what_was_returned_are_taken(hint: Any, value: Any, events: Any) -> None:
    assert reaction(hint).shape.events("shop.react", value) == events


@pytest.mark.parametrize(
    ("hint", "value", "returned"),
    [
        (A | B, c, "C"),
        (A | B, None, "NoneType"),
        (A, Later(key="1"), "Later"),
        (A | None, [a], "list of A"),
        (tuple[A, B], (b, a), "tuple of B, A"),
        (tuple[A, B], (a,), "tuple of A"),
        (tuple[A, B], [a, b], "list of A, B"),
        (tuple[A, B], a, "A"),
        (tuple[A, B], (), "tuple of nothing"),
        (list[A], (a,), "tuple of A"),
        (list[A], [a, b], "list of A, B"),
        (list[A], None, "NoneType"),
        (None, a, "A"),
        (None, 5, "int"),
    ],
    ids=str,
)
def test_what_the_annotation_does_not_say_is_refused(hint: Any, value: Any, returned: str) -> None:
    shape = reaction(hint).shape

    with pytest.raises(PayloadError) as raised:
        shape.events("shop.react", value)

    assert str(raised.value) == (
        f"shop.react returned {returned}, and its annotation says {shape}: return what is "
        "declared, or declare what is returned"
    )


# ---- workflows that events start --------------------------------------------------------------


def test_a_saga_holds_the_event_that_starts_it() -> None:
    shop = Service("shop")

    @shop.saga(on=A, id=lambda event: f"order-{event.key}", start="beginning", emits=[B])
    async def place(event: A) -> None: ...

    @shop.workflow(on=B)
    async def follow(event: B, limit: int = 5) -> None: ...

    assert place.on is not None
    assert (place.on.contract.type, place.on.start, place.emits) == ("facts.A", "beginning", (B,))
    assert place.on.execution_id("shop.place", "facts", "e1", a) == "order-1"
    assert follow.on is not None
    assert follow.on.execution_id("shop.follow", "facts", "e1", b) == "shop.follow:facts/e1"
    assert follow.on.execution_id("shop.follow", "facts", "e1", b, 3) == "shop.follow:facts/e1#3"


@pytest.mark.parametrize("made", [None, "", 5, "a" * 201, "a\n"], ids=lambda made: repr(made)[:9])
def test_an_id_that_cannot_be_one_is_refused(made: Any) -> None:
    @Service("shop").saga(on=A, id=lambda _: made)
    async def place(event: A) -> None: ...

    assert place.on is not None
    with pytest.raises(ArgumentsError, match=r"^id= of shop\.place: an execution id "):
        place.on.execution_id("shop.place", "facts", "e1", a)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id": str}, "id= of a workflow makes an id of the event of on=: give both"),
        (
            {"on": A, "id": "order"},
            "id= of a workflow takes a function of the event: id=lambda event: ...",
        ),
        ({"on": A, "start": "end"}, 'a workflow: start= is "now" or "beginning", not \'end\''),
        ({"on": Undeclared}, "Undeclared has no contract: declare it with @service.event(key=...)"),
        (
            {"on": "A"},
            "'A' is not an event: a class that inherits from Event, declared with "
            "@service.event(key=...)",
        ),
    ],
    ids=lambda value: str(sorted(value)) + str(value)[-16:] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", ["saga", "workflow"])
def test_starts_that_make_no_sense_are_refused(kind: str, options: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        getattr(Service("shop"), kind)(**options)

    assert str(raised.value) == words


async def takes_nothing() -> None: ...
async def takes_another(event: B) -> None: ...
async def takes_more(event: A, other: str) -> None: ...


@pytest.mark.parametrize(
    "function",
    [takes_nothing, takes_another, takes_more],
    ids=lambda function: str(function.__name__),
)
def test_a_workflow_that_does_not_take_its_event_is_refused(function: Any) -> None:
    shop = Service("shop")
    shop.saga(on=A)(function)

    with pytest.raises(DefinitionError) as raised:
        App("app", services=[shop], store="memory:")

    name = function.__name__
    assert str(raised.value) == (
        f"shop.{name} is started by A: it takes the event, and nothing else without a default: "
        f"async def {name}(event: A)"
    )


# ---- what is published ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["activity", "workflow", "saga"])
@pytest.mark.parametrize("emits", [A, "A", {A}, 5, A(key="1")], ids=lambda e: type(e).__name__)
def test_emits_takes_a_list(kind: str, emits: Any) -> None:
    article = "an" if kind == "activity" else "a"
    with pytest.raises(DefinitionError) as raised:
        getattr(Service("shop"), kind)(emits=emits)

    assert str(raised.value) == (
        f"emits= of {article} {kind} of shop takes a list of events, not {emits!r}"
    )


@pytest.mark.parametrize("kind", ["activity", "workflow", "saga"])
def test_emits_takes_declared_events(kind: str) -> None:
    with pytest.raises(DefinitionError, match=r"^Undeclared has no contract"):
        getattr(Service("shop"), kind)(emits=[A, Undeclared])


def test_emits_may_be_empty() -> None:
    @Service("shop").activity(emits=[])
    async def silent(key: str) -> None: ...

    assert silent.emits == ()


def test_an_app_knows_the_events_that_its_services_hear_of_and_emit() -> None:
    shop = Service("shop")
    reaction(B | None, service=shop)

    @shop.activity(emits=[C])
    async def work(key: str) -> None: ...

    app = App("app", services=[shop], store="memory:")

    assert set(app.registry.contracts) == {"facts.A", "facts.B", "facts.C"}
    assert app.registry.event_data(a)[1:] == ("1", b'{"key":"1"}')


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (A, "publish takes an event, not the class: A(...)"),
        (
            a,
            "facts.A is no event of this app: add the service facts to App(services=[...])",
        ),
        (
            Undeclared(key="1"),
            "Undeclared has no contract: declare it with @service.event(key=...)",
        ),
        (
            5,
            "<class 'int'> is not an event: a class that inherits from Event, declared with "
            "@service.event(key=...)",
        ),
    ],
    ids=["class", "foreign", "undeclared", "number"],
)
def test_what_cannot_be_published_is_refused(thing: Any, words: str) -> None:
    app = App("app", services=[Service("shop")], store="memory:")

    with pytest.raises(DefinitionError) as raised:
        app.registry.event_data(thing)

    assert str(raised.value) == words
