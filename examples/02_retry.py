"""Retries: failed attempts are recorded, and every attempt of a call carries the same key.

Run it: python examples/02_retry.py
"""

import asyncio
from datetime import timedelta

from counterpoint import App, NotDone, Retry, Service, activity

bank = Service("bank")
transfers: dict[str, int] = {}


@bank.activity(retry=Retry(max_attempts=4, first=timedelta(milliseconds=10)))
async def transfer(amount: int) -> str:
    call = activity.info()
    if call.attempt == 1:  # nothing happened, and the engine may know
        raise NotDone from ConnectionError("no route to the bank")
    known = call.idempotency_key in transfers
    transfers.setdefault(call.idempotency_key, amount)
    if call.attempt == 2:  # the money has moved, but the answer is lost
        raise TimeoutError("the bank did not answer")
    return "done before" if known else "done now"


@bank.workflow
async def pay_salary(amount: int) -> str:
    return await transfer(amount)


async def main() -> None:
    async with App("salaries", services=[bank], store="memory:") as app:
        payment = await app.start(pay_salary, 4000, id="salary-1")
        print(await payment.result())
        for entry in await payment.journal():
            error = entry.data.get("error")
            what = f"{entry.data['attempt']}: {error['message']}" if error else ""
            print(f"{entry.seq} {entry.type} {what}".rstrip())
    print(transfers)


asyncio.run(main())

# Output:
# done before
# 1 started
# 2 scheduled
# 3 attempt-failed 1: no route to the bank
# 4 attempt
# 5 attempt-failed 2: the bank did not answer
# 6 attempt
# 7 completed
# 8 ended
# {'salary-1/1/1': 4000}
