"""ccxt's BitMEX (spot) over a gateway: REST, and the streams of ccxt.pro. Usage: ccxt_bitmex.py TABLE.json"""

import asyncio
from decimal import Decimal

import ccxt
import ccxt.pro
from table import Table, check, patient, raises, served

MOUNT, KEY = served("/bitmex")
SYMBOL = "BTC/USDT"


def keys(**other):
    return {"apiKey": KEY["key"], "secret": KEY["secret"], **other}


def pointed(exchange):
    ws = MOUNT["websocket"] + "/realtime"
    exchange.urls["api"] = {"public": MOUNT["rest"], "private": MOUNT["rest"], "ws": ws}
    return patient(exchange, (ccxt.DDoSProtection, ccxt.RateLimitExceeded))


table = Table(f"ccxt {ccxt.__version__} bitmex")
ex = pointed(ccxt.bitmex(keys()))
best = {}


@table.case("load markets")
def _():
    market = ex.load_markets()[SYMBOL]
    check(market["spot"] and market["active"], market)
    check((market["precision"]["amount"], market["precision"]["price"]) == (1000, 0.5), market["precision"])


@table.case("ticker")
def _():
    ticker = ex.fetch_ticker(SYMBOL)
    check(ticker["bid"] < ticker["ask"] and ticker["last"], ticker)


@table.case("order book")
def _():
    book = ex.fetch_order_book(SYMBOL, 20)
    best["bid"], best["ask"] = book["bids"][0][0], book["asks"][0][0]
    # A hundredth lower the market does not come soon.
    best["low"] = round(best["bid"] * 0.99 * 2) / 2
    check(best["bid"] < best["ask"] and 0 < book["bids"][0][1] < 10_000, book)


@table.case("trades")
def _():
    trades = ex.fetch_trades(SYMBOL, limit=20)
    times = [trade["timestamp"] for trade in trades]
    check(len(trades) == 20 and times == sorted(times) and trades[0]["side"] in ("buy", "sell"), trades)
    check(0 < trades[0]["amount"] < 1_000, trades[0])


@table.case("candles")
def _():
    candles = ex.fetch_ohlcv(SYMBOL, "1m", limit=3)
    check(len(candles) == 3 and candles[1][0] - candles[0][0] == 60_000, candles)


@table.case("balance")
def _():
    balance = ex.fetch_balance()
    check(balance["BTC"]["free"] > 0 and balance["USDT"]["total"] > 0, balance)


@table.case("post-only rests")
def _():
    order = ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"], {"execInst": "ParticipateDoNotInitiate"})
    best["order"] = order["id"]
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "open" and order["filled"] == 0 and order["price"] == best["low"], order)
    check(order["amount"] == 0.01, order)


@table.case("post-only that would match ends")
def _():
    order = ex.create_order(
        SYMBOL, "limit", "buy", 0.01, best["ask"] + 500, {"execInst": "ParticipateDoNotInitiate"})
    check(order["status"] == "canceled" and order["filled"] == 0, order)


@table.case("open orders")
def _():
    ids = [order["id"] for order in ex.fetch_open_orders(SYMBOL)]
    check(ids == [best["order"]], ids)


@table.case("amend")
def _():
    order = ex.edit_order(best["order"], SYMBOL, "limit", "buy", 0.02, best["low"] - 1)
    check(order["price"] == best["low"] - 1 and order["amount"] == 0.02, order)


@table.case("client order id")
def _():
    wish = {"clientOrderId": "case/17"}
    order = ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"], wish)
    check(order["clientOrderId"] == "case/17", order)
    raises(ccxt.InvalidOrder, lambda: ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"], wish))
    ex.cancel_order(order["id"], SYMBOL)


@table.case("cancel")
def _():
    check(ex.cancel_order(best["order"], SYMBOL)["status"] == "canceled", "not cancelled")
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")
    raises(ccxt.OrderNotFound, lambda: ex.cancel_order(best["order"], SYMBOL))


@table.case("market order fills with the right fee")
def _():
    order = ex.create_order(SYMBOL, "market", "sell", 0.01)
    check(order["status"] == "closed" and order["filled"] == 0.01, order)
    trades = [trade for trade in ex.fetch_my_trades(SYMBOL) if trade["order"] == order["id"]]
    cost = sum(abs(Decimal(trade["info"]["execCost"])) for trade in trades)
    fee = sum(Decimal(trade["info"]["execComm"]) for trade in trades)
    check(trades and abs(fee - cost * Decimal("0.0005")) <= len(trades), (cost, fee))
    check(all(trade["takerOrMaker"] == "taker" for trade in trades), trades)


@table.case("insufficient funds")
def _():
    raises(ccxt.InsufficientFunds, lambda: ex.create_order(SYMBOL, "limit", "buy", 100, best["low"]))


@table.case("bad precision")
def _():
    wrong = {"symbol": "XBT_USDT", "side": "Buy", "orderQty": 1_000_000, "price": 50_000.3, "ordType": "Limit"}
    raises(ccxt.BadRequest, lambda: ex.privatePostOrder(wrong))
    wrong = {"symbol": "XBT_USDT", "side": "Buy", "orderQty": 1_500, "price": 50_000, "ordType": "Limit"}
    raises(ccxt.BadRequest, lambda: ex.privatePostOrder(wrong))


@table.case("unknown order")
def _():
    nobody = "00000000-0000-4000-8000-0000000fffff"
    raises(ccxt.OrderNotFound, lambda: ex.fetch_order(nobody, SYMBOL))
    raises(ccxt.ExchangeError, lambda: ex.privateDeleteOrder({"orderID": nobody}))


@table.case("bad signature")
def _():
    other = pointed(ccxt.bitmex(keys(secret="wrong")))
    raises(ccxt.AuthenticationError, lambda: other.fetch_balance())
    other = pointed(ccxt.bitmex(keys(apiKey="nobody")))
    raises(ccxt.AuthenticationError, lambda: other.fetch_balance())


@table.case("cancel all")
def _():
    for _ in range(2):
        ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"])
    ex.cancel_all_orders(SYMBOL)
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")


@table.case("cancel all after")
def _():
    check("cancelTime" in ex.cancel_all_orders_after(60_000), "no time")
    ex.cancel_all_orders_after(0)


@table.case("spot has no position")
def _():
    check([one for one in ex.fetch_positions() if one["symbol"] == SYMBOL] == [], "there is one")


for name in ("leverage", "reduce-only", "funding"):
    table.none(name, "spot has no margin; the contracts of the same account have a table of their own")


async def streams():
    pro = pointed(ccxt.pro.bitmex(keys()))
    await pro.load_markets()

    case = table.watch

    def book_is_whole(book):
        rest = ex.fetch_order_book(SYMBOL, 25)
        near = abs(book["bids"][0][0] - rest["bids"][0][0]) / rest["bids"][0][0]
        return book["bids"][0][0] < book["asks"][0][0] and near < 0.001

    await case("watch ticker", lambda: pro.watch_ticker(SYMBOL), lambda t: t["bid"] < t["ask"] and t["last"])
    await case("watch trades", lambda: pro.watch_trades(SYMBOL), lambda t: t[-1]["price"] > 0)
    await case("watch order book", lambda: pro.watch_order_book(SYMBOL), book_is_whole)
    await case("watch candles", lambda: pro.watch_ohlcv(SYMBOL, "1m"), lambda c: c[-1][5] > 0)

    async def order_story():
        orders = asyncio.ensure_future(pro.watch_orders(SYMBOL))
        balances = asyncio.ensure_future(pro.watch_balance())
        await asyncio.sleep(1)
        order = await pro.create_order(SYMBOL, "limit", "buy", 0.01, best["low"])
        seen = (await asyncio.wait_for(orders, 10))[-1]
        check(seen["id"] == order["id"] and seen["status"] == "open", seen)
        await asyncio.wait_for(balances, 10)
        orders = asyncio.ensure_future(pro.watch_orders(SYMBOL))
        await asyncio.sleep(0.2)
        await pro.cancel_order(order["id"], SYMBOL)
        seen = (await asyncio.wait_for(orders, 10))[-1]
        check(seen["status"] == "canceled", seen)
        trades = asyncio.ensure_future(pro.watch_my_trades(SYMBOL))
        await asyncio.sleep(0.5)
        order = await pro.create_order(SYMBOL, "market", "sell", 0.01)
        seen = (await asyncio.wait_for(trades, 10))[-1]
        check(seen["order"] == order["id"], seen)

    try:
        await order_story()
        table.rows.append(("watch orders, balance and my trades", "pass", ""))
    except Exception as error:
        table.rows.append(("watch orders, balance and my trades", "FAIL", f"{type(error).__name__}: {error}"))
    await pro.close()


asyncio.run(streams())
table.end()
