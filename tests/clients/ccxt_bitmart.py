"""ccxt's BitMart over a gateway: REST, and the streams of ccxt.pro. Usage: ccxt_bitmart.py TABLE.json"""

import asyncio
from decimal import Decimal

import aiohttp
import ccxt
import ccxt.pro
from bitmart_here import MOUNT, keys, pointed
from table import Table, check, raises

SYMBOL = "BTC/USDT"

table = Table(f"ccxt {ccxt.__version__} bitmart")
ex = pointed(ccxt.bitmart(keys()))
best = {}


@table.case("load markets")
def _():
    market = ex.load_markets()[SYMBOL]
    precision = market["precision"]
    check((precision["amount"], precision["price"]) == (0.00001, 0.01), precision)
    check(market["active"], "not active")


@table.case("time and status")
def _():
    check(abs(ex.fetch_time() - ex.milliseconds()) < 5_000, "the time is not now")
    check(ex.fetch_status()["status"] == "ok", "not ok")


@table.case("ticker")
def _():
    ticker = ex.fetch_ticker(SYMBOL)
    check(ticker["bid"] < ticker["ask"] and ticker["last"] and ticker["baseVolume"] > 0, ticker)
    check(SYMBOL in ex.fetch_tickers(), "not among all tickers")


@table.case("order book")
def _():
    book = ex.fetch_order_book(SYMBOL, 20)
    best["bid"], best["ask"] = book["bids"][0][0], book["asks"][0][0]
    best["low"] = book["bids"][15][0]
    check(best["bid"] < best["ask"] and len(book["asks"]) == 20, book)


@table.case("trades")
def _():
    trades = ex.fetch_trades(SYMBOL, limit=20)
    times = [trade["timestamp"] for trade in trades]
    check(len(trades) == 20 and times == sorted(times) and trades[0]["side"] in ("buy", "sell"), trades)


@table.case("candles")
def _():
    candles = ex.fetch_ohlcv(SYMBOL, "1m", limit=3)
    check(len(candles) == 3 and candles[1][0] - candles[0][0] == 60_000, candles)
    for _, start, high, low, end, volume in candles:
        check(low <= min(start, end) and high >= max(start, end) and volume > 0, candles)
    since = candles[0][0]
    check(ex.fetch_ohlcv(SYMBOL, "1m", since, 1)[0][0] == since, "since is not first")


@table.case("balance")
def _():
    balance = ex.fetch_balance()
    check(balance["BTC"]["free"] > 0 and balance["USDT"]["total"] > 0, balance)


@table.case("trading fee")
def _():
    fee = ex.fetch_trading_fee(SYMBOL)
    check((fee["maker"], fee["taker"]) == (0.0025, 0.0025), fee)


@table.case("post-only rests")
def _():
    order = ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"], {"postOnly": True})
    best["order"] = order["id"]
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "open" and order["filled"] == 0 and order["price"] == best["low"], order)


@table.case("post-only that would match ends")
def _():
    order = ex.create_order(SYMBOL, "limit", "buy", 0.01, best["ask"] * 1.01, {"postOnly": True})
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "canceled" and order["filled"] == 0, order)


@table.case("open orders")
def _():
    ids = [order["id"] for order in ex.fetch_open_orders(SYMBOL)]
    check(ids == [best["order"]], ids)


table.none("amend", "spot orders cannot be changed: there is no such request in the API documentation")


@table.case("client order id")
def _():
    order = ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"], {"clientOrderId": "case17"})
    found = ex.fetch_order(None, SYMBOL, {"clientOrderId": "case17"})
    check(found["id"] == order["id"] and found["clientOrderId"] == "case17", found)
    raises(ccxt.BadRequest, lambda: ex.create_order(
        SYMBOL, "limit", "buy", 0.01, best["low"], {"clientOrderId": "case17"}))
    ex.cancel_order(order["id"], SYMBOL)


@table.case("cancel")
def _():
    ex.cancel_order(best["order"], SYMBOL)
    check(ex.fetch_order(best["order"], SYMBOL)["status"] == "canceled", "not cancelled")
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")
    raises(ccxt.OrderNotFound, lambda: ex.cancel_order(best["order"], SYMBOL))
    ids = [order["id"] for order in ex.fetch_canceled_orders(SYMBOL)]
    check(best["order"] in ids, ids)


@table.case("market sell fills with the right fee")
def _():
    order = ex.create_order(SYMBOL, "market", "sell", 0.01)
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "closed" and order["filled"] == 0.01, order)
    trades = ex.fetch_order_trades(order["id"], SYMBOL)
    cost = sum(Decimal(trade["info"]["notional"]) for trade in trades)
    fee = sum(Decimal(trade["info"]["fee"]) for trade in trades)
    check(abs(fee - cost * Decimal("0.0025")) <= Decimal("0.00000001") * len(trades), (cost, fee))
    check(all(trade["takerOrMaker"] == "taker" and trade["fee"]["currency"] == "USDT" for trade in trades), trades)
    check(cost == Decimal(order["info"]["filledNotional"]), (cost, order))


@table.case("market buy spends quote")
def _():
    order = ex.create_market_buy_order_with_cost(SYMBOL, 650)
    order = ex.fetch_order(order["id"], SYMBOL)
    check(0 < order["cost"] <= 650 and order["filled"] > 0, order)


@table.case("my trades and closed orders")
def _():
    check(len(ex.fetch_my_trades(SYMBOL)) >= 2, "fewer than two fills")
    # ccxt asks for all that have ended.
    ended = [order["status"] for order in ex.fetch_closed_orders(SYMBOL)]
    check("closed" in ended and set(ended) <= {"closed", "canceled"}, ended)


@table.case("several at once")
def _():
    orders = ex.create_orders([
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": best["low"]},
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.02, "price": best["low"]},
    ])
    ids = [order["id"] for order in orders]
    check(len(ids) == 2, orders)
    ex.cancel_orders(ids, SYMBOL)
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")


@table.case("insufficient funds")
def _():
    raises(ccxt.InsufficientFunds, lambda: ex.create_order(SYMBOL, "limit", "buy", 1_000, best["low"]))


@table.case("bad precision")
def _():
    # ccxt cuts amounts to the market's step before it sends them: what is left of this one is nothing.
    raises(ccxt.InvalidOrder, lambda: ex.create_order(SYMBOL, "limit", "buy", 0.000001, best["low"]))
    # Written by hand it is the venue that refuses.
    wrong = {"symbol": "BTC_USDT", "side": "buy", "type": "limit", "size": "0.0000015", "price": "60000"}
    raises(ccxt.BadRequest, lambda: ex.privatePostSpotV2SubmitOrder(wrong))


@table.case("too small")
def _():
    raises(ccxt.InvalidOrder, lambda: ex.create_order(SYMBOL, "limit", "buy", 0.00001, best["low"]))


@table.case("unknown order")
def _():
    raises(ccxt.OrderNotFound, lambda: ex.fetch_order("200000000099999999", SYMBOL))
    raises(ccxt.OrderNotFound, lambda: ex.cancel_order("200000000099999999", SYMBOL))


@table.case("unknown symbol")
def _():
    wrong = {"symbol": "NO_USDT", "side": "buy", "type": "limit", "size": "1", "price": "60000"}
    raises(ccxt.BadSymbol, lambda: ex.privatePostSpotV2SubmitOrder(wrong))


@table.case("bad signature")
def _():
    other = pointed(ccxt.bitmart(keys(secret="wrong")))
    other.load_markets()
    raises(ccxt.AuthenticationError, lambda: other.create_order(SYMBOL, "limit", "buy", 0.01, best["low"]))
    other = pointed(ccxt.bitmart(keys(apiKey="nobody")))
    raises(ccxt.AuthenticationError, lambda: other.fetch_balance())


@table.case("cancel all")
def _():
    for _ in range(2):
        ex.create_order(SYMBOL, "limit", "buy", 0.01, best["low"])
    ex.cancel_all_orders(SYMBOL)
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")


@table.case("no permission for withdrawals and margin")
def _():
    raises(ccxt.PermissionDenied, lambda: ex.fetch_deposit_address("BTC"))


for name in ("leverage", "positions", "reduce-only", "funding"):
    table.none(name, "spot has no margin account")


async def streams():
    pro = pointed(ccxt.pro.bitmart(keys()))
    await pro.load_markets()

    await table.watch("watch ticker", lambda: pro.watch_ticker(SYMBOL), lambda t: t["bid"] < t["ask"] and t["last"])
    await table.watch("watch bids and asks", lambda: pro.watch_bids_asks([SYMBOL]), lambda t: t[SYMBOL]["bid"] < t[SYMBOL]["ask"])
    await table.watch("watch candles", lambda: pro.watch_ohlcv(SYMBOL, "1m"), lambda c: c[-1][5] >= 0)

    def book_is_whole(book):
        rest = ex.fetch_order_book(SYMBOL, 50)
        near = abs(book["bids"][0][0] - rest["bids"][0][0]) / rest["bids"][0][0]
        return book["bids"][0][0] < book["asks"][0][0] and near < 0.001

    await table.watch("watch order book", lambda: pro.watch_order_book(SYMBOL), book_is_whole)

    async def trades():
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"{MOUNT['websocket']}/api?protocol=1.1") as socket:
                await socket.send_json({"op": "subscribe", "args": ["spot/trade:BTC_USDT"]})
                check((await socket.receive_json())["event"] == "subscribe", "no ack")
                push = await asyncio.wait_for(socket.receive_json(), 20)
                check(push["table"] == "spot/trade", push)
                row = push["data"][0]
                check(float(row["price"]) > 0 and row["side"] in ("buy", "sell") and row["ms_t"], row)

    await table.story("trades on the socket", trades)
    table.broken("watch trades", "ccxt for Python raises UnboundLocalError on every spot trade (parse_ws_trade)")

    async def order_story():
        task = asyncio.ensure_future(pro.watch_orders(SYMBOL))
        balances = asyncio.ensure_future(pro.watch_balance())
        await asyncio.sleep(1)
        order = await pro.create_order(SYMBOL, "limit", "buy", 0.01, best["low"])
        seen = (await asyncio.wait_for(task, 10))[-1]
        check(seen["id"] == order["id"] and seen["status"] == "open", seen)
        balance = await asyncio.wait_for(balances, 10)
        # The first one is what there was before.
        for _ in range(3):
            if not balance["USDT"]["used"]:
                balance = await asyncio.wait_for(pro.watch_balance(), 10)
        check(balance["USDT"]["used"] > 0, balance)
        task = asyncio.ensure_future(pro.watch_orders(SYMBOL))
        await asyncio.sleep(0.2)
        await pro.cancel_order(order["id"], SYMBOL)
        seen = (await asyncio.wait_for(task, 10))[-1]
        check(seen["status"] == "canceled", seen)

    await table.story("watch orders and balance", order_story)
    table.none("watch my trades", "ccxt has none for BitMart, and the venue sends fills with its orders")
    await pro.close()


asyncio.run(streams())
table.end()
