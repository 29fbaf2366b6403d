"""Which recorded journal shows which feature: the file, and what can be read in it.

A feature that is added gets a row here, and a scenario that is recorded.
"""

OF_THE_LANGUAGE = {
    "asyncio.as_completed": ("constructs", "desk.takes_each_as_it_comes"),
    "asyncio.ensure_future": ("events-retried", "orders.ship_and_fail"),
    "asyncio.Event, Lock, Queue": ("constructs", "desk.takes_turns"),
    "asyncio.gather": ("order-done", "orders.place_beside"),
    "asyncio.gather(return_exceptions=True)": ("constructs", "desk.gathers_errors"),
    "asyncio.shield": ("constructs", "desk.shields"),
    "asyncio.sleep": ("order-done", "orders.place_beside"),
    "asyncio.TaskGroup": ("order-done", "orders.place_beside"),
    "asyncio.TaskGroup, one task fails": ("constructs", "desk.groups"),
    "asyncio.timeout": ("order-done", '"timer-cancelled"'),
    "asyncio.timeout that passes": ("constructs", "desk.is_too_slow"),
    "asyncio.wait": ("constructs", "desk.waits_for_the_first"),
    "asyncio.wait_for": ("constructs", "desk.waits_so_long"),
    "a task is left at the end": ("constructs", "desk.leaves_a_task"),
    "CancelledError is cleaned up after": ("ends-of-code", "desk.cleans_up"),
}
"""What workflow code writes beside the names of `counterpoint.workflow`."""

OF_WORKFLOWS = {
    "child": ("children", '"final-Rome"'),
    "compensate_with": ("order-done", '"undo-registered"'),
    "continue_as_new": ("continued", '"continued"'),
    "event": ("waits-for-events", '"awaits-event"'),
    "info": ("constructs", "desk.looks_around"),
    "log": ("constructs", "desk.looks_around"),
    "now": ("constructs", "desk.looks_around"),
    "patched": ("signals", '"patched"'),
    "pivot": ("pivot", '"pivot"'),
    "publish": ("started-by-events", '"published"'),
    "random": ("reset", "trips.dice"),
    "set_attributes": ("order-done", '"attributes"'),
    "signal": ("signals", '"signalled"'),
    "sleep": ("constructs", "desk.takes_turns"),
    "uuid4": ("order-done", "orders.place_beside"),
    "WorkflowInfo": ("constructs", "desk.looks_around"),
}
"""Every name of `counterpoint.workflow`."""

OF_ACTIVITIES = {
    "AttemptInfo": ("progress", '"heartbeat"'),
    "EventInfo": ("started-by-events", '"caused-by"'),
    "heartbeat": ("progress", '"heartbeat"'),
    "info": ("progress", '"heartbeat"'),
    "last_heartbeat": ("progress", '"heartbeat"'),
    "publish": ("started-by-events", "orders.announce"),
    "start": ("started-by-events", '"parcel-of-bread"'),
}
"""Every name of `counterpoint.activity`; what only an activity sees is not in a journal."""

OF_OPERATORS = {
    "cancel": ("cancelled", '"cancel-requested"'),
    "reset": ("reset", '"reset"'),
    "resolve": ("at-most-once", '"resolved"'),
    "retry": ("workflow-retried", '"retry-requested"'),
    "signal": ("signals", '"signalled"'),
    "terminate": ("cancelled", '"terminate-requested"'),
}
"""Every act of `Execution` that is recorded."""

OF_INCIDENTS = {
    "non-determinism": "stopped-by-other-code",
    "unknown-activity": "lost-compensation",
    "lost-attempts": "incidents",
    "unknown-outcome": "at-most-once",
    "patience": "incidents",
    "settle": "does-not-settle",
    "past-pivot": "pivot",
    "deadline": "stopped-past-the-pivot",
}
"""Every `Cause`."""

OF_CALLS = {
    "activity(at_most_once=True)": ("at-most-once", "payments.transfer"),
    "activity(concurrency=)": ("progress", "orders.pack"),
    "activity(on_unknown='fail')": ("undone-otherwise", "payments.call_bank"),
    "activity(timeout=)": ("odd-attempts", "took longer than 300 s"),
    "ActivityFailed": ("odd-attempts", "desk.ask failed after 2 attempts"),
    "BusinessError": ("order-undone", "payments.Declined"),
    "def activity": ("constructs", "desk.stamp"),
    "ExecutionFailed": ("ends-of-code", '"child-failed"'),
    "NotDone": ("odd-attempts", '"not-done-at-first"'),
    "outcome_unknown": ("order-undone", '"undone-with-doubt"'),
    "Retry": ("attempts", '"attempt-failed"'),
    "RetryAfter": ("odd-attempts", "RetryAfter"),
    "a call is cancelled": ("constructs", '"call-cancelled"'),
    "a node dies in an attempt": ("attempts", '"attempt-lost"'),
    "a node stops in an attempt": ("progress", '"attempt-postponed"'),
}
"""How calls end, and end again."""

OF_SAGAS = {
    "compensation": ("order-undone", '"compensate"'),
    "compensation(error)": ("counted", "desk.lends"),
    "compensation of a child": ("undone-otherwise", "trips.sell_cruise"),
    "compensation tried past its patience": ("incidents", '"patience"'),
    "resolve of a compensation": ("undone-otherwise", '"resolved"'),
    "a child is undone as one step": ("children", '"undo-child"'),
    "a child stays": ("children", '"stays"'),
    "cancel of a child": ("children", '"cancelled-with-its-child"'),
    "cancel past the pivot": ("stopped-past-the-pivot", '"cancel-refused"'),
    "continue_as_new past the pivot": ("counted", "desk.counts"),
    "deadline": ("deadline", "DeadlineExceeded"),
    "deadline past the pivot": ("stopped-past-the-pivot", "orders.forward_in_time"),
    "retry past the pivot": ("pivot", '"stuck-then-retried"'),
}
"""How sagas are undone, or go on."""

OF_STARTS_AND_EVENTS = {
    "saga(on=)": ("started-by-events", "orders.by_event"),
    "saga(on=, id=)": ("started-by-events", '"order-tea"'),
    "start(delay=)": ("delayed", '"delayed"'),
    "workflow(version=)": ("children", "trips.leg"),
    "workflow.event(keep=)": ("waits-for-events", '"kept"'),
    "workflow.event(timeout=)": ("waits-for-events", '"never"'),
    "workflow.event in runs that follow": ("events-continued", "orders.parcels"),
    "workflow.event of another version": ("events-of-another-version", '"read-later"'),
    "workflow.signal(timeout=)": ("signals", "orders.approval"),
}
"""What starts an execution, and what it waits for."""

SHOWN = [
    *OF_THE_LANGUAGE.items(),
    *((f"workflow.{name}", row) for name, row in OF_WORKFLOWS.items()),
    *((f"activity.{name}", row) for name, row in OF_ACTIVITIES.items()),
    *((f"execution.{name}", row) for name, row in OF_OPERATORS.items()),
    *((f"incident: {cause}", (file, f'"{cause}"')) for cause, file in OF_INCIDENTS.items()),
    *OF_CALLS.items(),
    *OF_SAGAS.items(),
    *OF_STARTS_AND_EVENTS.items(),
]
