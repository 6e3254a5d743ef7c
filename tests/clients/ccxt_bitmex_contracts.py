"""ccxt's BitMEX contracts over a gateway: REST, and the streams of ccxt.pro. Usage: ccxt_bitmex_contracts.py TABLE.json

Each case runs for a linear contract, which settles in USDT, and for an inverse one, which settles in XBT."""

import asyncio
from decimal import Decimal

import ccxt
import ccxt.pro
from table import Table, check, patient, raises, served

MOUNT, KEY = served("/bitmex")


def pointed(exchange):
    ws = MOUNT["websocket"] + "/realtime"
    exchange.urls["api"] = {"public": MOUNT["rest"], "private": MOUNT["rest"], "ws": ws}
    return patient(exchange, (ccxt.DDoSProtection, ccxt.RateLimitExceeded))


def keys(**other):
    return {"apiKey": KEY["key"], "secret": KEY["secret"], **other}


table = Table(f"ccxt {ccxt.__version__} bitmex")
ex = pointed(ccxt.bitmex(keys()))


def contract(symbol, settle):
    """All rows of one contract."""
    best = {}
    case = lambda name: table.case(f"{symbol} {name}")

    def held():
        position = [one for one in ex.fetch_positions([symbol]) if one["symbol"] == symbol]
        return Decimal(position[0]["info"]["currentQty"]) if position else Decimal(0)

    @case("load markets")
    def _():
        market = ex.load_markets()[symbol]
        check(market["swap"] and market["active"] and market["settle"] == settle, market)
        check(market["linear"] == (settle == "USDT") and market["inverse"] == (settle == "BTC"), market)
        check((market["precision"]["amount"], market["precision"]["price"]) == (100, 0.1), market["precision"])
        check((market["maker"], market["taker"]) == (0.0005, 0.0005), market)

    @case("ticker")
    def _():
        ticker = ex.fetch_ticker(symbol)
        check(ticker["bid"] < ticker["ask"] and ticker["last"] and ticker["markPrice"], ticker)

    @case("order book")
    def _():
        book = ex.fetch_order_book(symbol, 20)
        best["bid"], best["ask"] = book["bids"][0][0], book["asks"][0][0]
        best["low"], best["high"] = round(best["bid"] * 0.99, 1), round(best["ask"] * 1.01, 1)
        check(best["bid"] < best["ask"] and len(book["bids"]) > 10, book)

    @case("trades")
    def _():
        trades = ex.fetch_trades(symbol, limit=20)
        times = [trade["timestamp"] for trade in trades]
        check(len(trades) == 20 and times == sorted(times) and trades[0]["side"] in ("buy", "sell"), trades)

    @case("candles")
    def _():
        candles = ex.fetch_ohlcv(symbol, "1m", limit=3)
        check(len(candles) == 3 and candles[1][0] - candles[0][0] == 60_000, candles)

    @case("balance")
    def _():
        balance = ex.fetch_balance()
        check(balance[settle]["free"] > 0 and balance[settle]["total"] >= balance[settle]["free"], balance)

    @case("set leverage")
    def _():
        position = ex.set_leverage(10, symbol)
        check(position["leverage"] == 10 and position["crossMargin"] is False, position)
        raises(ccxt.BadRequest, lambda: ex.set_leverage(1000, symbol))

    @case("margin mode")
    def _():
        check(ex.set_margin_mode("cross", symbol)["crossMargin"] is True, "not cross")
        check(ex.set_leverage(10, symbol)["crossMargin"] is False, "not isolated")

    @case("post-only rests")
    def _():
        order = ex.create_order(symbol, "limit", "buy", 100, best["low"], {"postOnly": True})
        best["order"] = order["id"]
        order = ex.fetch_order(order["id"], symbol)
        check(order["status"] == "open" and not order["filled"] and order["price"] == best["low"], order)
        check(order["info"]["orderQty"] == 100 and order["postOnly"], order)

    @case("post-only that would match ends")
    def _():
        order = ex.create_order(symbol, "limit", "buy", 100, best["high"], {"postOnly": True})
        check(order["status"] == "canceled" and not order["filled"], order)

    @case("open orders")
    def _():
        ids = [order["id"] for order in ex.fetch_open_orders(symbol)]
        check(ids == [best["order"]], ids)

    @case("amend")
    def _():
        order = ex.edit_order(best["order"], symbol, "limit", "buy", 200, best["low"] - 1)
        check(order["price"] == best["low"] - 1 and order["info"]["orderQty"] == 200, order)

    @case("client order id")
    def _():
        wish = {"clientOrderId": f"case/{settle}"}
        order = ex.create_order(symbol, "limit", "buy", 100, best["low"], wish)
        check(order["clientOrderId"] == f"case/{settle}", order)
        raises(ccxt.InvalidOrder, lambda: ex.create_order(symbol, "limit", "buy", 100, best["low"], wish))
        ex.cancel_order(order["id"], symbol)

    @case("cancel")
    def _():
        check(ex.cancel_order(best["order"], symbol)["status"] == "canceled", "not cancelled")
        check(ex.fetch_open_orders(symbol) == [], "still open")
        raises(ccxt.OrderNotFound, lambda: ex.cancel_order(best["order"], symbol))

    @case("market order fills with the right fee")
    def _():
        order = ex.create_order(symbol, "market", "buy", 1000)
        check(order["status"] == "closed" and order["info"]["cumQty"] == 1000, order)
        trades = [trade for trade in ex.fetch_my_trades(symbol) if trade["order"] == order["id"]]
        cost = sum(abs(Decimal(trade["info"]["execCost"])) for trade in trades)
        fee = sum(Decimal(trade["info"]["execComm"]) for trade in trades)
        check(trades and abs(fee - cost * Decimal("0.0005")) <= len(trades), (cost, fee))
        currency = "USDt" if settle == "USDT" else "XBt"
        check(all(trade["info"]["settlCurrency"] == currency for trade in trades), trades)

    @case("positions")
    def _():
        position = [one for one in ex.fetch_positions([symbol]) if one["symbol"] == symbol][0]
        check(position["side"] == "long" and position["contracts"] == 1000, position)
        check(position["leverage"] == 10 and position["marginMode"] == "isolated", position)
        entry, liquidation = position["entryPrice"], position["liquidationPrice"]
        check(best["bid"] * 0.99 < entry < best["ask"] * 1.01 and 0 < liquidation < entry, position)
        check(position["markPrice"] and position["unrealizedPnl"] is not None, position)

    @case("reduce-only")
    def _():
        # More than there is to close is cut there; the other way there is nothing to reduce.
        order = ex.create_order(symbol, "market", "sell", 300, None, {"reduceOnly": True})
        check(order["info"]["cumQty"] == 300 and held() == 700, (order, held()))
        order = ex.create_order(symbol, "limit", "buy", 100, best["low"], {"reduceOnly": True})
        check(order["status"] == "canceled" and not order["filled"], order)

    @case("stop orders wait")
    def _():
        above = {"triggerPrice": best["high"], "triggerDirection": "above"}
        below = {"triggerPrice": best["low"], "triggerDirection": "below", "execInst": "LastPrice"}
        first = ex.create_order(symbol, "market", "buy", 100, None, above)
        second = ex.create_order(symbol, "limit", "sell", 100, best["low"] - 1, below)
        check((first["info"]["ordType"], second["info"]["ordType"]) == ("Stop", "StopLimit"), (first, second))
        check(first["status"] == "open" and first["info"]["workingIndicator"] is False, first)
        check(float(first["triggerPrice"]) == best["high"], first)
        for order in (first, second):
            check(ex.cancel_order(order["id"], symbol)["status"] == "canceled", "not cancelled")

    @case("trailing stop")
    def _():
        trail = {"trailingAmount": "500", "triggerDirection": "below"}
        order = ex.create_order(symbol, "market", "sell", 100, None, trail)
        info = order["info"]
        check((info["ordType"], info["pegPriceType"]) == ("Stop", "TrailingStopPeg"), info)
        check(float(info["pegOffsetValue"]) == -500 and float(order["triggerPrice"]) < best["bid"], order)
        nearer = {"trailingAmount": "400", "triggerDirection": "below"}
        changed = ex.edit_order(order["id"], symbol, "market", "sell", None, None, nearer)
        check(float(changed["info"]["pegOffsetValue"]) == -400, changed)
        check(changed["triggerPrice"] > order["triggerPrice"], (order, changed))
        check(ex.cancel_order(order["id"], symbol)["status"] == "canceled", "not cancelled")

    @case("iceberg order")
    def _():
        order = ex.create_order(symbol, "limit", "buy", 300, best["low"], {"displayQty": 100})
        check((int(order["info"]["displayQty"]), int(order["info"]["orderQty"])) == (100, 300), order)
        changed = ex.edit_order(order["id"], symbol, "limit", "buy", 200, best["low"])
        check((int(changed["info"]["displayQty"]), int(changed["info"]["orderQty"])) == (100, 200), changed)
        check(ex.cancel_order(order["id"], symbol)["status"] == "canceled", "not cancelled")

    @case("another stop price")
    def _():
        below = {"triggerPrice": best["low"], "triggerDirection": "below"}
        order = ex.create_order(symbol, "market", "sell", 100, None, below)
        lower = round(best["low"] - 10, 1)
        changed = ex.edit_order(order["id"], symbol, "market", "sell", 200, None, {"stopPx": lower})
        check(changed["triggerPrice"] == lower and int(changed["info"]["orderQty"]) == 200, changed)
        check(ex.cancel_order(order["id"], symbol)["status"] == "canceled", "not cancelled")

    @case("a stop that is reached fills")
    def _():
        reached = {"triggerPrice": round(best["bid"] * 0.9, 1), "triggerDirection": "above", "execInst": "LastPrice"}
        order = ex.create_order(symbol, "market", "buy", 100, None, reached)
        for _ in range(100):
            if order["status"] == "closed":
                break
            ex.sleep(200)
            order = ex.fetch_order(order["id"], symbol)
        check(order["status"] == "closed" and order["info"]["triggered"] == "StopOrderTriggered", order)

    @case("close position")
    def _():
        order = ex.close_position(symbol)
        check(order["status"] == "closed" and held() == 0, (order, held()))

    @case("short")
    def _():
        ex.create_order(symbol, "market", "sell", 200)
        position = [one for one in ex.fetch_positions([symbol]) if one["symbol"] == symbol][0]
        check(position["side"] == "short" and position["liquidationPrice"] > position["entryPrice"], position)
        ex.create_order(symbol, "market", "buy", 200)
        check(held() == 0, held())

    @case("ledger")
    def _():
        rows = [row["info"] for row in ex.fetch_ledger(settle, limit=500)]
        own = [row for row in rows if row["address"] == ex.market_id(symbol)]
        check(any(row["transactType"] == "RealisedPNL" for row in own), rows)
        booked = sum(Decimal(row["amount"]) for row in rows if row["transactStatus"] == "Completed")
        wallet = ex.private_get_user_wallet({"currency": "USDt" if settle == "USDT" else "XBt"})
        check(booked == Decimal(wallet["amount"]), (booked, wallet))

    @case("insufficient funds")
    def _():
        many = 100_000_000 if settle == "USDT" else 9_000_000
        wish = {"symbol": ex.market_id(symbol), "side": "Buy", "orderQty": many, "price": best["low"], "ordType": "Limit"}
        raises(ccxt.InsufficientFunds, lambda: ex.private_post_order(wish))

    @case("bad precision")
    def _():
        wish = {"symbol": ex.market_id(symbol), "side": "Buy", "orderQty": 100, "price": 50_000.03, "ordType": "Limit"}
        raises(ccxt.BadRequest, lambda: ex.private_post_order(wish))
        raises(ccxt.BadRequest, lambda: ex.private_post_order({**wish, "orderQty": 150, "price": 50_000}))

    @case("unknown order")
    def _():
        nobody = "00000000-0000-4000-8000-0000000fffff"
        raises(ccxt.OrderNotFound, lambda: ex.fetch_order(nobody, symbol))

    @case("bad signature")
    def _():
        raises(ccxt.AuthenticationError, lambda: pointed(ccxt.bitmex(keys(secret="wrong"))).fetch_positions())
        raises(ccxt.AuthenticationError, lambda: pointed(ccxt.bitmex(keys(apiKey="nobody"))).fetch_positions())

    @case("cancel all")
    def _():
        for _ in range(2):
            ex.create_order(symbol, "limit", "buy", 100, best["low"])
        ex.create_order(symbol, "market", "buy", 100, None, {"triggerPrice": best["high"], "triggerDirection": "above"})
        check(len(ex.cancel_all_orders(symbol)) == 3 and ex.fetch_open_orders(symbol) == [], "still open")

    @case("cancel all after")
    def _():
        check("cancelTime" in ex.cancel_all_orders_after(60_000), "no time")
        ex.cancel_all_orders_after(0)

    @case("funding rate")
    def _():
        funding = ex.fetch_funding_rates([symbol])[symbol]
        check(funding["fundingRate"] is not None and funding["fundingTimestamp"], funding)
        check(funding["markPrice"] and funding["fundingDatetime"].endswith(".000Z"), funding)

    @case("funding history")
    def _():
        # Fundings are eight hours apart: most runs see none, and say so.
        rows = ex.fetch_funding_rate_history(symbol, limit=5)
        check(all(row["symbol"] == symbol and row["fundingRate"] is not None for row in rows), rows)
        return "" if rows else "none was due yet"


async def streams(symbol, settle):
    pro = pointed(ccxt.pro.bitmex(keys()))
    await pro.load_markets()
    name = lambda what: f"{symbol} {what}"

    def book_is_whole(book):
        rest = ex.fetch_order_book(symbol, 25)
        near = abs(book["bids"][0][0] - rest["bids"][0][0]) / rest["bids"][0][0]
        return book["bids"][0][0] < book["asks"][0][0] and near < 0.001

    await table.watch(name("watch ticker"), lambda: pro.watch_ticker(symbol), lambda t: t["bid"] < t["ask"] and t["last"])
    await table.watch(name("watch trades"), lambda: pro.watch_trades(symbol), lambda t: t[-1]["price"] > 0)
    await table.watch(name("watch order book"), lambda: pro.watch_order_book(symbol), book_is_whole)
    await table.watch(name("watch candles"), lambda: pro.watch_ohlcv(symbol, "1m"), lambda c: c[-1][5] > 0)

    async def story():
        low = round(ex.fetch_order_book(symbol, 5)["bids"][0][0] * 0.99, 1)
        orders = asyncio.ensure_future(pro.watch_orders(symbol))
        balances = asyncio.ensure_future(pro.watch_balance())
        await asyncio.sleep(1)
        order = await pro.create_order(symbol, "limit", "buy", 100, low)
        seen = (await asyncio.wait_for(orders, 10))[-1]
        check(seen["id"] == order["id"] and seen["status"] == "open", seen)
        check((await asyncio.wait_for(balances, 10))[settle]["free"] > 0, "no balance")
        orders = asyncio.ensure_future(pro.watch_orders(symbol))
        await asyncio.sleep(0.2)
        await pro.cancel_order(order["id"], symbol)
        seen = (await asyncio.wait_for(orders, 10))[-1]
        check(seen["status"] == "canceled", seen)
        trades = asyncio.ensure_future(pro.watch_my_trades(symbol))
        positions = asyncio.ensure_future(pro.watch_positions([symbol]))
        await asyncio.sleep(0.5)
        order = await pro.create_order(symbol, "market", "buy", 100)
        seen = (await asyncio.wait_for(trades, 10))[-1]
        check(seen["order"] == order["id"], seen)
        for _ in range(20):
            seen = [one for one in await asyncio.wait_for(positions, 10) if one["symbol"] == symbol]
            if seen and seen[-1]["contracts"] == 100:
                break
            positions = asyncio.ensure_future(pro.watch_positions([symbol]))
        check(seen[-1]["contracts"] == 100 and seen[-1]["side"] == "long", seen)
        await pro.create_order(symbol, "market", "sell", 100, None, {"reduceOnly": True})

    await table.watch(name("watch orders, balance, my trades and positions"), story, lambda _: True, 60)
    await pro.close()


for wanted in (("BTC/USDT:USDT", "USDT"), ("BTC/USD:BTC", "BTC")):
    contract(*wanted)
    asyncio.run(streams(*wanted))
table.end()
