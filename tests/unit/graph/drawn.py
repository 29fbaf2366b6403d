"""Services whose workflows the tests of drawings read; nothing here ever runs."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from counterpoint import BusinessError, Service, workflow

shop, pay = Service("shop"), Service("pay")


class Late(BusinessError):
    order: str


@shop.activity
async def create(order: str) -> str:
    return order


@create.compensation
async def discard(order: str) -> None: ...


@pay.activity
async def charge(order: str) -> str:
    return order


@charge.compensation
async def refund(order: str) -> None: ...


@shop.activity
async def notify(order: str) -> bool:
    return bool(order)


@shop.workflow
async def child(order: str) -> str:
    return order


STEPS = (create, charge, notify)
BY_NAME = {"create": create, "charge": charge}
late_charge = functools.partial(charge, order="late")
APPROVAL = "approval"


async def pays(step: Callable[[str], Awaitable[Any]], order: str) -> None:
    if not order:
        return
    await step(order)
    await notify(order)


async def again(order: str) -> None:
    await notify(order)
    if order:
        await again(order[1:])


def later(order: str) -> Coroutine[Any, Any, str]:
    return charge(order)


@contextlib.asynccontextmanager
async def announced(order: str) -> AsyncGenerator[None]:
    await create(order)
    yield
    await notify(order)


async def pages(order: str) -> AsyncGenerator[str]:
    for page in order:
        await create(page)
        yield page


class Desk:
    async def serve(self, order: str) -> None:
        await self.greet(order)
        await charge(order)

    async def greet(self, order: str) -> None:
        await notify(order)


desk = Desk()
hidden: dict[str, Any] = {}


def decide(order: str) -> Any:
    return hidden.get(order)


@contextlib.asynccontextmanager
async def nothing(order: str) -> AsyncGenerator[None]:
    yield


# ---- workflows --------------------------------------------------------------------------------


@shop.saga(deadline=timedelta(minutes=5))
async def straight(order: str) -> str:
    await create(order)
    await charge(order)
    await notify(order)
    return order


@shop.workflow
async def chooses(order: str) -> str:
    if order == "vip":
        await charge(order)
    elif not order:
        raise Late(order=order)
    match order:
        case "a" | "b":
            await create(order)
        case str(name) if name > "z":
            return "early"
    return "late"


@shop.workflow
async def loops(order: str) -> None:
    for page in order:
        if page == "x":
            continue
        await notify(page)
    while not await notify(order):
        await asyncio.sleep(60)
        if order:
            break
    while True:
        await workflow.sleep(timedelta(days=1))


@shop.workflow
async def guards(order: str) -> str:
    try:
        async with asyncio.timeout(3600):
            await workflow.signal(APPROVAL, bool, timeout=timedelta(days=3))
    except TimeoutError:
        await notify(order)
    else:
        await charge(order)
    finally:
        await create(order)
    with contextlib.suppress(Late):
        await asyncio.wait_for(notify(order), 5)
    return order


@shop.workflow
async def gathers(order: str) -> None:
    await asyncio.gather(charge(order), *(create(page) for page in order))
    calls = [notify(order)]
    calls.append(notify(order))
    await asyncio.gather(*calls)


@shop.workflow
async def groups(order: str) -> None:
    async with asyncio.TaskGroup() as group:
        for page in order:
            group.create_task(create(page))
        group.create_task(charge(order))
        await notify(order)


@shop.workflow
async def spawns(order: str) -> None:
    task = asyncio.create_task(charge(order))
    await notify(order)
    await task
    one, two = asyncio.create_task(create(order)), asyncio.create_task(notify(order))
    await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED, timeout=9)
    asyncio.create_task(charge(order))  # noqa: RUF006 - what a user forgets


@shop.workflow
async def follows(order: str) -> None:
    await pays(charge, order)
    await again(order)
    await later(order)
    await desk.serve(order)
    async with announced(order):
        await charge(order)
    async for page in pages(order):
        await notify(page)

    async def inside(one: str) -> None:
        await notify(one)

    await inside(order)


@shop.workflow
async def aliases(order: str) -> None:
    book = create
    await book(order)
    await BY_NAME["charge"](order)
    await BY_NAME[order](order)
    await late_charge()
    for step in STEPS:
        await step(order)
    chosen = create if order else charge
    await chosen(order)


@shop.workflow
async def unclear(order: str) -> None:
    await decide(order)
    await decide(order).later()
    async with asyncio.Lock():
        await notify(order)
    charge(order)
    forgotten = notify(order)  # noqa: F841 - what a user forgets
    hidden[order] = functools.reduce(lambda a, _: a, [1], charge)


@shop.saga
async def steers(order: str) -> None:
    workflow.compensate_with(notify, order)
    await create(order)
    if workflow.patched("fraud"):
        await charge(order)
    for _ in order:
        await charge(order)
    await child(order)
    workflow.pivot()
    await create(order)
    workflow.continue_as_new(order)


@shop.workflow
async def quiet(order: str) -> str:
    total = sum(len(page) for page in order)
    if total > 3:
        order = order.strip()
    workflow.log.info("counted")
    return f"{workflow.now()} {order}"


# ---- what is written less often ---------------------------------------------------------------


class Counter:
    pages = BY_NAME

    def __init__(self, order: str) -> None:
        self.order = order

    async def serve(self) -> None:
        await charge(self.order)
        await self.note()

    @staticmethod
    async def note() -> None:
        await notify("")

    @classmethod
    async def of(cls, order: str) -> None:
        await cls.note()


async def optional(step: Any = create, *more: Any, order: str = "") -> None:
    await step(order)
    for one in more:
        await one(order)


async def deep(order: str) -> None:
    await notify(order)
    if order:
        return
    for page in order:
        if page:
            return
        await notify(page)
    await charge(order)


def publishes(order: str) -> str:
    workflow.compensate_with(notify, order)
    return order


def counts(order: str) -> int:
    return sum(len(page) for page in order)


def logged(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any) -> Any:
        await notify("begins")
        return await function(*args)

    return wrapper


@logged
async def wrapped(order: str) -> None:
    await charge(order)


@shop.workflow
async def objects(order: str) -> None:
    counter = Counter(order)
    await counter.serve()
    await Counter.of(order)
    await counter.pages["create"](order)
    await wrapped(order)
    await optional()
    await optional(charge, notify, order=order)


@shop.workflow
async def expressions(order: str) -> str:
    import asyncio as io
    from asyncio import gather

    await (charge(order) if order else notify(order))
    first = await create(order) if order else ""
    both = order and await notify(order)
    either = both or await charge(order)
    await gather(*[notify(page) for page in order if page])
    named = [done := await notify(page) for page in order]
    await gather(*{page: create(page) for page in order}.values())
    for call in io.as_completed([charge(order), notify(order)]):
        await call
    await io.shield(io.ensure_future(create(order)))
    if order:
        pending: Any = charge(order)
    else:
        pending = notify(order)
    await pending
    await (lambda one: create(one))(order)
    return f"{first}{either}{named}{done}{await notify(order)}"


@shop.workflow
async def collections(order: str) -> None:
    for name, step in BY_NAME.items():
        await step(name)
    for step in BY_NAME.values():
        if order:
            break
        await step(order)
    for do, then in ((create, notify), (charge, notify)):
        await do(order)
        await then(order)
    calls: list[Any] = []
    for page in order:
        calls.append(charge(page))  # noqa: PERF401 - what a user writes
    calls += [notify(order)]
    await asyncio.gather(*calls)
    tasks = [asyncio.create_task(create(page)) for page in order]
    await asyncio.wait(tasks)
    first, *_ = STEPS
    await first(order)
    await asyncio.gather(*decide(order))
    filled: list[Any] = []
    fill(filled, order)
    await asyncio.gather(*filled)


def fill(calls: list[Any], order: str) -> None:
    calls.append(charge(order))


@shop.workflow
async def jumps(order: str) -> str:
    await deep(order)
    order = publishes(order)
    for page in order:
        await notify(page)
        if counts(page) > 3:
            break
    else:
        await charge(order)
    try:
        return await create(order)
    except Late:
        raise
    except (ValueError, KeyError) as error:
        if order:
            await notify(str(error))
        assert await notify(order)
    async with nothing(order), asyncio.timeout(None), asyncio.timeout_at(5):
        await charge(order)
    await asyncio.wait_for(create(order), timeout=None)
    await asyncio.sleep(0)
    try:
        await charge(order)
    finally:
        await notify(order)
    raise Late(order=order)


@shop.saga
async def parents(order: str) -> None:
    await asyncio.gather(*(undoing(page) for page in order))
    await workflow.child(undoing, order, id="other")
    task = asyncio.create_task(charge(order))
    if order:
        await task


@shop.saga
async def undoing(order: str) -> None:
    try:
        await create(order)
        await workflow.signal("go", timeout=None)
    except Late:
        await charge(order)


ALL = BY_NAME | {"notify": notify}


@shop.workflow
async def nests(order: str) -> None:
    async with asyncio.TaskGroup() as group:
        await create(order)
        task = group.create_task(charge(order))
        await notify(order)
        await task
        group.create_task(notify(order))
        await create(order)
    await asyncio.create_task(decide(order))
    while order:
        try:
            match order:
                case "x":
                    break
                case "y":
                    continue
                case _:
                    pass
            await ALL[order](order)
        finally:
            order = order[1:]


def mixed(order: str) -> str:
    workflow.compensate_with(notify, order)
    return order


MANY: dict[str, Any] = {"mixed": mixed, "charge": charge}
LISTED = [create, charge]


async def collected(*steps: Any, **named: Any) -> None:
    for step in steps:
        await step("")
    for step in named.values():
        await step("")


async def endless(order: str) -> None:
    await notify(order)
    await sideways(order)


async def sideways(order: str) -> None:
    await endless(order)


@shop.workflow
async def oddities(order: str) -> None:
    MANY[order](order)
    partial = functools.partial(charge, order)
    await partial()
    await asyncio.gather(*list([notify(order)]))  # noqa: C410 - what a user writes
    await workflow.child(decide(order), order)
    await asyncio.wait_for(asyncio.create_task(create(order)), order.count("x"))
    await asyncio.gather(asyncio.create_task(charge(order)), notify(order))
    tasks: set[Any] = set()
    tasks.add(asyncio.create_task(charge(order)))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    calls: dict[str, Any] = {page: charge(page) for page in order}
    await asyncio.gather(*calls.copy().values())
    await LISTED[0](order)
    await LISTED[-9](order)
    await calls["x"]
    await decide(str([notify(order)]))
    await collected(create, charge, last=notify)
    await endless(order)
    await workflow.signal(name=order, type=str, timeout=order.count("y"))
    await workflow.sleep(order.count("z"))
    async for page in decide(order):
        await notify(page)
    async for page in pages(order):
        if page:
            break
    async with announced(order):
        if order:
            return
    await charge(order)


async def one(order: str) -> None:
    await two(order)
    await two(order)
    await two(order)
    await two(order)


async def two(order: str) -> None:
    await three(order)
    await three(order)
    await three(order)
    await three(order)


async def three(order: str) -> None:
    await four(order)
    await four(order)
    await four(order)
    await four(order)


async def four(order: str) -> None:
    await notify(order)


@shop.workflow
async def explodes(order: str) -> None:
    for step in (one, two, three, four):
        await step(order)
        await one(order)
        await one(order)
