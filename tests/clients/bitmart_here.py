"""Where BitMart is served here, and how ccxt is pointed at it."""

from table import served

MOUNT, KEY = served("/bitmart")


def keys(**other):
    return {"apiKey": KEY["key"], "secret": KEY["secret"], "uid": KEY["passphrase"], **other}


def pointed(exchange):
    rest, ws = MOUNT["rest"], MOUNT["websocket"]
    sockets = {"public": f"{ws}/api?protocol=1.1", "private": f"{ws}/user?protocol=1.1"}
    exchange.urls["api"] = {"spot": rest, "swap": rest, "ws": {"spot": sockets, "swap": sockets}}
    return exchange
