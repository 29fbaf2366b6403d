"""What is read from the source of workflows; `drawn` has them."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.graph import drawn

from counterpoint import Service
from counterpoint.graph.flow import (
    Arm,
    Body,
    Branch,
    End,
    Helper,
    Join,
    Kind,
    Lane,
    Loop,
    Note,
    Parallel,
    Spawn,
    Step,
    Try,
    Way,
    Within,
    parts,
)
from counterpoint.graph.reading import read_workflow

CREATE = Step(Kind.ACTIVITY, "shop.create", undo="shop.discard")
CHARGE = Step(Kind.ACTIVITY, "pay.charge", undo="pay.refund")
NOTIFY = Step(Kind.ACTIVITY, "shop.notify")


def body(workflow: Any) -> Body:
    return read_workflow(workflow).body


def notes(of: Body) -> Iterator[str]:
    for node in of:
        if isinstance(node, Note):
            yield node.text
        for inner in parts(node):
            yield from notes(inner)


def test_calls_are_read_in_order_with_their_compensations() -> None:
    flow = read_workflow(drawn.straight)

    assert (flow.name, flow.kind, flow.parameters) == ("shop.straight", "saga", "order")
    assert flow.deadline == "300 s"
    assert flow.body == (CREATE, CHARGE, NOTIFY, End(Way.RETURN, "order"))


def test_branches_keep_their_conditions_and_their_ends() -> None:
    assert body(drawn.chooses) == (
        Branch(
            "order == 'vip'",
            (
                Arm("yes", (CHARGE,)),
                Arm(
                    "no",
                    (
                        Branch(
                            "not order",
                            (
                                Arm("yes", (End(Way.RAISE, "Late(order=order)"),)),
                                Arm("no", ()),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        Branch(
            "order",
            (
                Arm("'a' | 'b'", (CREATE,)),
                Arm("str(name) if name > 'z'", (End(Way.RETURN, "'early'"),)),
                Arm("any other", ()),
            ),
        ),
        End(Way.RETURN, "'late'"),
    )


def test_loops_keep_what_leaves_them_and_nothing_follows_an_endless_one() -> None:
    each, until, for_ever = body(drawn.loops)

    skips = Branch("page == 'x'", (Arm("yes", (End(Way.CONTINUE),)), Arm("no", ())))
    leaves = Branch("order", (Arm("yes", (End(Way.BREAK),)), Arm("no", ())))
    assert each == Loop("for page in order", (skips, NOTIFY))
    going_on = (Step(Kind.SLEEP, "60 s"), leaves)
    over = (Arm("yes", going_on), Arm("no", (End(Way.BREAK),)))
    assert until == Loop(
        "repeat", (NOTIFY, Branch("not await notify(order)", over)), endless=True
    ), "what the condition awaits comes first"
    assert for_ever == Loop("for ever", (Step(Kind.SLEEP, "1 day"),), endless=True)


def test_time_limits_and_handlers_are_read() -> None:
    waiting, suppressing, end = body(drawn.guards)

    signal = Step(Kind.SIGNAL, "approval", "within 3 days")
    assert waiting == Try(
        (Within("within 3600 s", (signal,)),),
        (Arm("TimeoutError", (NOTIFY,)),),
        (CHARGE,),
        (CREATE,),
    )
    assert suppressing == Try((Within("within 5 s", (NOTIFY,)),), (Arm("Late", ()),))
    assert end == End(Way.RETURN, "order")


def test_what_is_gathered_happens_at_the_same_time() -> None:
    assert body(drawn.gathers) == (
        Parallel((Lane((CHARGE,)), Lane((CREATE,), "for page in order"))),
        Parallel((Lane((NOTIFY,)), Lane((NOTIFY,)))),
    )


def test_a_task_group_waits_for_all_that_begins_in_it() -> None:
    lanes = (Lane((CREATE,), "for page in order"), Lane((CHARGE,)), Lane((NOTIFY,)))

    assert body(drawn.groups) == (Parallel(lanes),)


def test_a_task_and_what_happens_until_it_is_awaited_are_side_by_side() -> None:
    awaited, first, forgotten = body(drawn.spawns)

    assert awaited == Parallel((Lane((CHARGE,)), Lane((NOTIFY,))))
    assert first == Parallel((Lane((CREATE,)), Lane((NOTIFY,))), "the first, for at most 9 s")
    assert forgotten == Spawn("task 4", (CHARGE,))


def test_helpers_are_followed_with_what_they_are_given() -> None:
    given, recursive, coroutine, method, managed, generated, local = body(drawn.follows)

    leaves = Branch("not order", (Arm("yes", (End(Way.RETURN),)), Arm("no", ())))
    assert given == Helper("pays", (leaves, CHARGE, NOTIFY))
    assert list(notes((recursive,))) == ["again calls itself: again from its start"]
    assert coroutine == CHARGE
    assert method == Helper("serve", (Helper("greet", (NOTIFY,)), CHARGE))
    assert managed == Helper("announced", (CREATE, CHARGE, NOTIFY), block=True)
    turns = Loop("for page in order", (CREATE, NOTIFY))
    assert generated == Helper("pages", (turns,), block=True)
    assert local == Helper("inside", (NOTIFY,))


def test_names_are_looked_up_where_python_would() -> None:
    which = (Arm("shop.create", (CREATE,)), Arm("pay.charge", (CHARGE,)))

    assert body(drawn.aliases) == (
        CREATE,
        CHARGE,
        Branch("which BY_NAME[order]", which),
        CHARGE,
        CREATE,
        CHARGE,
        NOTIFY,
        Branch("which chosen", which),
    )


def test_what_the_source_does_not_tell_is_noted_and_never_dropped() -> None:
    assert list(notes(body(drawn.unclear))) == [
        "await decide(order)",
        "await decide(order).later()",
        "async with asyncio.Lock(): what it waits for cannot be seen",
        "charge(order) is called and not awaited",
        "pay.charge is handed to functools.reduce",
        "forgotten is never awaited",
    ]


def test_what_a_workflow_decides_about_itself_is_read() -> None:
    patched = Branch("workflow.patched('fraud')", (Arm("yes", (CHARGE,)), Arm("no", ())))

    assert body(drawn.steers) == (
        Step(Kind.COMPENSATE_WITH, "shop.notify"),
        CREATE,
        Step(Kind.PATCHED, "'fraud'"),
        patched,
        Loop("for _ in order", (CHARGE,)),
        Step(Kind.CHILD, "shop.child"),
        Step(Kind.PIVOT, ""),
        CREATE,
        End(Way.AGAIN, "workflow.continue_as_new(order)"),
    )


def test_plain_computing_is_left_out() -> None:
    (end,) = body(drawn.quiet)

    assert isinstance(end, End)


def test_a_workflow_without_source_says_so() -> None:
    service = Service("made")
    scope: dict[str, Any] = {"__name__": "made"}
    exec("async def made(order: str) -> None: ...", scope)  # noqa: S102 - has no file

    workflow: Any = service.workflow(scope["made"])

    assert body(workflow) == (Note("its source cannot be read"),)


@pytest.mark.parametrize("name", ["gathers", "groups", "spawns"])
def test_no_task_is_awaited_twice(name: str) -> None:
    assert not any(isinstance(node, Join) for node in body(getattr(drawn, name)))


# ---- what is written less often ---------------------------------------------------------------


def test_methods_of_objects_classes_and_decorated_functions_are_followed() -> None:
    note = Helper("note", (NOTIFY,))
    served, of_class, attribute, wrapped, default, given = body(drawn.objects)

    assert served == Helper("serve", (CHARGE, note))
    assert of_class == Helper("of", (note,))
    assert attribute == CREATE
    assert wrapped == Helper("wrapped", (NOTIFY, Helper("wrapped", (CHARGE,))))
    assert isinstance(default, Helper)
    assert default.body[0] == CREATE
    assert given == Helper("optional", (CHARGE, NOTIFY))


def test_expressions_are_read_in_the_order_of_evaluation() -> None:
    def either(subject: str, yes: Body, no: Body) -> Branch:
        return Branch(subject, (Arm("yes", yes), Arm("no", no)))

    assert body(drawn.expressions)[:-1] == (
        either("order", (CHARGE,), (NOTIFY,)),
        either("order", (CREATE,), ()),
        either("order", (NOTIFY,), ()),
        Branch("both", (Arm("no", (CHARGE,)), Arm("yes", ()))),
        Parallel((Lane((NOTIFY,), "for page in order if page"),)),
        Loop("for page in order", (NOTIFY,)),
        Parallel((Lane((CREATE,), "for page in order"),)),
        Parallel((Lane((CHARGE,)), Lane((NOTIFY,))), "all, each in its turn"),
        CREATE,
        Branch("whichever it is", (Arm("1", (CHARGE,)), Arm("2", (NOTIFY,)))),
        CREATE,
        NOTIFY,
    )


def test_collections_of_activities_are_read_element_by_element() -> None:
    *items, values, first, second, third, fourth, appended, tasks, head, strange, filled = body(
        drawn.collections
    )

    assert items == [CREATE, CHARGE]
    assert isinstance(values, Loop)  # it can be left early, so its turns are not written out
    assert (first, second, third, fourth) == (CREATE, NOTIFY, CHARGE, NOTIFY)
    assert appended == Parallel((Lane((CHARGE,), "for each turn"), Lane((NOTIFY,))))
    assert tasks == Parallel((Lane((CREATE,), "for page in order"),))
    assert head == CREATE
    assert strange == Note("what is in *decide(order) cannot be seen")
    assert list(notes((filled,))) == ["what is in *filled cannot be seen"]


def test_early_ends_stay_in_the_helper_or_the_try_that_they_are_in() -> None:
    deep, registers, loop, trying, limited, created, cleaned, end = body(drawn.jumps)

    assert isinstance(deep, Helper)
    assert registers == Helper("publishes", (Step(Kind.COMPENSATE_WITH, "shop.notify"),))
    assert isinstance(loop, Loop)
    assert loop.otherwise == (CHARGE,)
    assert isinstance(trying, Try)
    assert [arm.label for arm in trying.handlers] == ["Late", "(ValueError, KeyError)"]
    assert trying.handlers[0].body == (End(Way.RAISE),)
    assert limited == Helper("nothing", (Within("until 5 s", (CHARGE,)),), block=True)
    assert created == CREATE
    assert cleaned == Try((CHARGE,), (), (), (NOTIFY,))
    assert end == End(Way.RAISE, "Late(order=order)")


def test_children_are_steps_and_tasks_may_be_awaited_elsewhere() -> None:
    child = Step(Kind.CHILD, "shop.undoing", undo="shop.undoing")

    assert body(drawn.parents) == (
        Parallel((Lane((child,), "for page in order"),)),
        child,
        Spawn("task 1", (CHARGE,)),
        Branch("order", (Arm("yes", (Join("task 1"),)), Arm("no", ()))),
    )


def test_tasks_of_a_group_that_are_awaited_in_it_come_before_what_follows() -> None:
    assert body(drawn.nests)[:4] == (
        CREATE,
        Parallel((Lane((CHARGE,)), Lane((NOTIFY,)))),
        Parallel((Lane((NOTIFY,)), Lane((CREATE,)))),
        Note("await decide(order)"),
    )


def test_a_return_inside_a_managers_block_ends_the_workflow() -> None:
    *_, managed, after = body(drawn.oddities)

    leaves = Branch("order", (Arm("yes", (End(Way.RETURN),)), Arm("no", ())))
    note = Note("after a return, the rest of announced(order) happens too")
    assert managed == Helper("announced", (CREATE, note, leaves, NOTIFY), block=True)
    assert after == CHARGE


def test_every_doubt_of_a_strange_workflow_is_noted() -> None:
    assert list(notes(body(drawn.oddities))) == [
        "MANY[order](order) is called and not awaited",
        "await workflow.child(decide(order), order)",
        "await calls['x']",
        "await decide(str([notify(order)]))",
        "await step('')",
        "endless calls itself: again from its start",
        "async for: what decide(order) waits for cannot be seen",
        "async for: what pages(order) waits for cannot be seen",
        "after a return, the rest of announced(order) happens too",
    ]


def test_a_workflow_that_calls_helpers_without_end_is_drawn_in_part() -> None:
    refused = [note for note in notes(body(drawn.explodes)) if "too many calls of helpers" in note]

    assert refused
