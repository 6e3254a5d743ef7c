"""A table of client × case: each row passes, or says what the venue has none of and why. Anything else fails."""

import asyncio
import json
import sys
import time
import traceback


def served(mount):
    """A mount of the table that the program wrote, and its first key. The table is the first argument."""
    with open(sys.argv[1]) as file:
        mounts = json.load(file)["mounts"]
    found = next(one for one in mounts if one["mount"] == mount)
    return found, found["keys"][0]


def patient(exchange, refused):
    """A ccxt client that waits where the venue's rate limit is reached, and asks again: what was refused did not happen."""
    ask = exchange.fetch2

    def wait(*args, **named):
        while True:
            try:
                return ask(*args, **named)
            except refused:
                time.sleep(2)

    async def wait_async(*args, **named):
        while True:
            try:
                return await ask(*args, **named)
            except refused:
                await asyncio.sleep(2)

    exchange.fetch2 = wait_async if asyncio.iscoroutinefunction(ask) else wait
    return exchange


class Table:
    def __init__(self, client):
        self.client = client
        self.rows = []

    def case(self, name):
        """Runs a function as a case."""

        def run(function):
            try:
                note = function() or ""
                self.rows.append((name, "pass", note))
            except Exception as error:  # every failure is a row
                traceback.print_exc()
                self.rows.append((name, "FAIL", f"{type(error).__name__}: {error}"))
            return function

        return run

    async def watch(self, name, watch, good, patience=75):
        """A case of a stream: what `watch` waits for is `good` sooner or later."""
        try:
            for _ in range(20):
                seen = await asyncio.wait_for(watch(), patience)
                if good(seen):
                    self.rows.append((name, "pass", ""))
                    return
            raise AssertionError(f"never as it should be: {seen}")
        except Exception as error:  # every failure is a row
            traceback.print_exc()
            self.rows.append((name, "FAIL", f"{type(error).__name__}: {error}"))

    async def story(self, name, tell):
        """A case of several streams together."""
        try:
            await tell()
            self.rows.append((name, "pass", ""))
        except Exception as error:  # every failure is a row
            traceback.print_exc()
            self.rows.append((name, "FAIL", f"{type(error).__name__}: {error}"))

    def none(self, name, why):
        """The venue has none of it."""
        self.rows.append((name, "the venue has none", why))

    def broken(self, name, why):
        """The client cannot do it with the real venue either; what it would have needed is checked another way."""
        self.rows.append((name, "the client cannot", why))

    def end(self):
        """Prints the rows; the exit code is 1 where one failed."""
        width = max(len(name) for name, _, _ in self.rows)
        for name, result, note in self.rows:
            print(f"{self.client}  {name:<{width}}  {result}{': ' + note if note else ''}")
        sys.exit(1 if any(result == "FAIL" for _, result, _ in self.rows) else 0)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def raises(kind, function):
    """The exception that a call must end with: this class and no other."""
    try:
        result = function()
    except Exception as error:
        check(type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}")
        return error
    raise AssertionError(f"no {kind.__name__}: {result}")
