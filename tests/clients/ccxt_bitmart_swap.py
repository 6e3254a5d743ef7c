"""ccxt's BitMart contracts over a gateway: REST, and the streams of ccxt.pro. Usage: ccxt_bitmart_swap.py TABLE.json"""

import asyncio
import time
from decimal import Decimal

import ccxt
import ccxt.pro
from bitmart_here import keys, pointed
from table import Table, check, raises

SYMBOL = "BTC/USDT:USDT"

table = Table(f"ccxt {ccxt.__version__} bitmart swap")
ex = pointed(ccxt.bitmart(keys()))
best = {}


def no_plans():
    for plan in ex.fetch_open_orders(SYMBOL, params={"trigger": True}):
        ex.cancel_order(plan["id"], SYMBOL, {"trigger": True})


@table.case("load markets")
def _():
    market = ex.load_markets()[SYMBOL]
    precision = market["precision"]
    check((precision["amount"], precision["price"]) == (1, 0.1), precision)
    check(market["contractSize"] == 0.001 and market["settle"] == "USDT" and market["linear"], market)
    check(market["active"] and market["limits"]["leverage"]["max"] == 100, market)


@table.case("ticker")
def _():
    ticker = ex.fetch_ticker(SYMBOL)
    check(ticker["last"] > 0 and ticker["high"] >= ticker["low"] > 0, ticker)


@table.case("order book")
def _():
    book = ex.fetch_order_book(SYMBOL)
    best["bid"], best["ask"] = book["bids"][0][0], book["asks"][0][0]
    best["low"] = book["bids"][15][0]
    check(best["bid"] < best["ask"] and book["asks"][0][1] >= 1, book)


table.broken("trades", "ccxt has no public trades of BitMart's contracts: fetch_trades takes spot symbols only")


@table.case("candles")
def _():
    since = ex.milliseconds() - 5 * 60_000
    candles = ex.fetch_ohlcv(SYMBOL, "1m", since, 4)
    check(len(candles) >= 3 and candles[1][0] - candles[0][0] == 60_000, candles)
    for _, start, high, low, end, _ in candles:
        check(low <= min(start, end) and high >= max(start, end), candles)
    check(sum(candle[5] for candle in candles) > 0, "nothing traded")


@table.case("candles of the mark price")
def _():
    candles = ex.fetch_mark_ohlcv(SYMBOL, "1m")
    check(candles and abs(candles[-1][4] / best["bid"] - 1) < 0.01, candles)


@table.case("balance")
def _():
    balance = ex.fetch_balance({"type": "swap"})
    check(balance["USDT"]["free"] > 0 and balance["USDT"]["total"] > 0, balance)


table.broken("trading fee", "ccxt's fetch_trading_fee takes spot symbols only; the fee of a fill is checked below")


@table.case("position mode")
def _():
    ex.set_position_mode(True)
    check(ex.fetch_position_mode()["hedged"], "not hedged")
    ex.set_position_mode(False)
    check(not ex.fetch_position_mode()["hedged"], "hedged")


@table.case("leverage")
def _():
    answer = ex.set_leverage(20, SYMBOL, {"marginMode": "cross"})["data"]
    check(answer["leverage"] == "20" and answer["open_type"] == "cross", answer)
    raises(ccxt.InvalidOrder, lambda: ex.set_leverage(1_000, SYMBOL, {"marginMode": "cross"}))


@table.case("limit rests")
def _():
    order = ex.create_order(SYMBOL, "limit", "buy", 2, best["low"], {"postOnly": True, "clientOrderId": "swap1"})
    best["order"] = order["id"]
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "open" and order["filled"] == 0 and order["price"] == best["low"], order)
    check(order["clientOrderId"] == "swap1" and order["amount"] == 2 and order["side"] == "buy", order)
    check([row["id"] for row in ex.fetch_open_orders(SYMBOL)] == [order["id"]], "not the only one")


@table.case("post-only that would match ends")
def _():
    order = ex.create_order(SYMBOL, "limit", "buy", 1, round(best["ask"] * 1.01, 1), {"postOnly": True})
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "closed" and order["filled"] == 0, order)


@table.case("amend")
def _():
    ex.edit_order(best["order"], SYMBOL, "limit", "buy", 3, best["low"] - 1)
    order = ex.fetch_order(best["order"], SYMBOL)
    check((order["amount"], order["price"], order["status"]) == (3, best["low"] - 1, "open"), order)


@table.case("duplicate client id")
def _():
    raises(ccxt.InvalidOrder, lambda: ex.create_order(
        SYMBOL, "limit", "buy", 1, best["low"], {"clientOrderId": "swap1"}))


@table.case("cancel")
def _():
    ex.cancel_order(best["order"], SYMBOL)
    check(ex.fetch_order(best["order"], SYMBOL)["status"] == "closed", "not over")
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")
    raises(ccxt.InvalidOrder, lambda: ex.cancel_order(best["order"], SYMBOL))


@table.case("market buy fills with the right fee")
def _():
    order = ex.create_order(SYMBOL, "market", "buy", 5)
    order = ex.fetch_order(order["id"], SYMBOL)
    check(order["status"] == "closed" and order["filled"] == 5 and order["average"] > 0, order)
    trades = [trade for trade in ex.fetch_my_trades(SYMBOL) if trade["order"] == order["id"]]
    check(sum(trade["amount"] for trade in trades) == 5, trades)
    for trade in trades:
        info = trade["info"]
        value = Decimal(info["price"]) * Decimal(info["vol"]) * Decimal("0.001")
        check(abs(Decimal(info["paid_fees"]) - value * Decimal("0.0006")) <= Decimal("0.00000001"), info)
        check(trade["takerOrMaker"] == "taker" and trade["side"] == "buy", trade)


@table.case("positions")
def _():
    position = ex.fetch_position(SYMBOL)
    check(position["side"] == "long" and position["contracts"] == 5 and position["leverage"] == 20, position)
    check(abs(position["collateral"] - position["entryPrice"] * 0.005 / 20) < 0.001, position)
    held = [row for row in ex.fetch_positions([SYMBOL]) if row["contracts"]]
    check(len(held) == 1 and held[0]["unrealizedPnl"] is not None, held)
    margin = next(row for row in ex.fetch_balance({"type": "swap"})["info"]["data"] if row["currency"] == "USDT")
    check(abs(float(margin["position_deposit"]) - position["collateral"]) < 0.001, margin)
    # Neither leverage nor mode changes now.
    raises(ccxt.ExchangeError, lambda: ex.set_leverage(10, SYMBOL, {"marginMode": "cross"}))
    raises(ccxt.ExchangeError, lambda: ex.set_position_mode(True))


@table.case("open interest")
def _():
    check(ex.fetch_open_interest(SYMBOL)["openInterestAmount"] == 5, "not what is held")


@table.case("stop order")
def _():
    trigger = round(best["bid"] * 0.9, 1)
    order = ex.create_order(SYMBOL, "market", "sell", 2, None, {"stopLossPrice": trigger})
    plans = ex.fetch_open_orders(SYMBOL, params={"trigger": True})
    check([plan["id"] for plan in plans] == [order["id"]], plans)
    check(float(plans[0]["info"]["trigger_price"]) == trigger and plans[0]["side"] == "sell", plans)
    lower = round(trigger - 10, 1)
    ex.edit_order(order["id"], SYMBOL, "market", "sell", None, None, {"stopLossPrice": lower})
    plans = ex.fetch_open_orders(SYMBOL, params={"trigger": True})
    check([(plan["id"], float(plan["info"]["trigger_price"])) for plan in plans] == [(order["id"], lower)], plans)
    ex.cancel_order(order["id"], SYMBOL, {"trigger": True})
    check(ex.fetch_open_orders(SYMBOL, params={"trigger": True}) == [], "still there")


@table.case("trailing order")
def _():
    activation = round(best["bid"] * 0.8, 1)
    trail = {"trailingPercent": "1.5", "trailingTriggerPrice": activation}
    order = ex.create_order(SYMBOL, "market", "buy", 2, None, trail)
    [row] = ex.fetch_open_orders(SYMBOL, params={"trailing": True})
    check((row["id"], row["type"], row["side"], row["amount"]) == (order["id"], "trailing", "buy", 2), row)
    check((float(row["info"]["activation_price"]), row["info"]["callback_rate"]) == (activation, "1.5"), row)
    check(ex.fetch_open_orders(SYMBOL, params={"trigger": True}) == [], "it is no plan")
    ex.cancel_order(order["id"], SYMBOL, {"trailing": True})
    check(ex.fetch_open_orders(SYMBOL, params={"trailing": True}) == [], "still there")
    raises(ccxt.BadRequest, lambda: ex.create_order(SYMBOL, "market", "buy", 2, None, {**trail, "trailingPercent": "6"}))


@table.case("trigger order fires")
def _():
    before = ex.fetch_position(SYMBOL)["contracts"]
    # The market goes one way or the other from here.
    trigger = round(ex.fetch_ticker(SYMBOL)["last"], 1)
    for way in (1, 2):
        ex.create_order(SYMBOL, "market", "buy", 1, None, {"triggerPrice": trigger, "price_way": way})
    for _ in range(100):
        if ex.fetch_position(SYMBOL)["contracts"] > before:
            break
        time.sleep(0.4)
    no_plans()
    check(ex.fetch_position(SYMBOL)["contracts"] > before, "none of them")


@table.case("preset stop and profit")
def _():
    up, down = round(best["bid"] * 1.2, 1), round(best["bid"] * 0.8, 1)
    request = {"preset_take_profit_price": str(up), "preset_stop_loss_price": str(down)}
    ex.create_order(SYMBOL, "market", "buy", 1, None, request)
    time.sleep(0.5)
    plans = ex.fetch_open_orders(SYMBOL, params={"trigger": True})
    prices = sorted(float(plan["info"]["trigger_price"]) for plan in plans)
    check(prices == [down, up] and all(plan["info"]["size"] == "1" for plan in plans), plans)


@table.case("reduce-only closes and opens nothing")
def _():
    held = ex.fetch_position(SYMBOL)["contracts"]
    ex.create_order(SYMBOL, "market", "sell", held + 100, None, {"reduceOnly": True})
    check(not ex.fetch_position(SYMBOL)["contracts"], "something is left")
    raises(ccxt.ExchangeError, lambda: ex.create_order(SYMBOL, "market", "sell", 1, None, {"reduceOnly": True}))
    time.sleep(0.5)
    # What waited to close the position went with it.
    check(ex.fetch_open_orders(SYMBOL, params={"trigger": True}) == [], "plans are left")


@table.case("ledger")
def _():
    kinds = {row["info"]["flow_type"] for row in ex.fetch_ledger("USDT", params={"symbol": "BTCUSDT"})}
    check({"2", "4"} <= {str(kind) for kind in kinds}, kinds)
    check(ex.fetch_funding_history(SYMBOL) == [], "funding was never due")


@table.case("closed orders")
def _():
    ended = ex.fetch_closed_orders(SYMBOL)
    check(len(ended) >= 5 and {order["status"] for order in ended} == {"closed"}, ended)


@table.case("insufficient funds")
def _():
    raises(ccxt.InsufficientFunds, lambda: ex.create_order(SYMBOL, "limit", "buy", 40_000, best["low"]))
    # More than the risk limit allows at this leverage is another refusal.
    raises(ccxt.InvalidOrder, lambda: ex.create_order(SYMBOL, "limit", "buy", 900_000, best["low"]))


@table.case("bad precision")
def _():
    # ccxt cuts amounts to whole contracts before it sends them.
    raises(ccxt.InvalidOrder, lambda: ex.create_order(SYMBOL, "limit", "buy", 0.4, best["low"]))
    wrong = {"symbol": "BTCUSDT", "side": 1, "type": "limit", "size": 1, "price": "60000.05"}
    raises(ccxt.InvalidOrder, lambda: ex.privatePostContractPrivateSubmitOrder(wrong))
    wrong = {"symbol": "BTCUSDT", "side": 1, "type": "limit", "size": "1.5", "price": "60000"}
    raises(ccxt.InvalidOrder, lambda: ex.privatePostContractPrivateSubmitOrder(wrong))


@table.case("unknown order")
def _():
    raises(ccxt.OrderNotFound, lambda: ex.fetch_order("3000000099999999", SYMBOL))
    raises(ccxt.OrderNotFound, lambda: ex.cancel_order("3000000099999999", SYMBOL))


@table.case("unknown symbol")
def _():
    wrong = {"symbol": "NOUSDT", "side": 1, "type": "limit", "size": 1, "price": "60000"}
    raises(ccxt.BadSymbol, lambda: ex.privatePostContractPrivateSubmitOrder(wrong))


@table.case("bad signature")
def _():
    other = pointed(ccxt.bitmart(keys(secret="wrong")))
    other.load_markets()
    raises(ccxt.AuthenticationError, lambda: other.create_order(SYMBOL, "limit", "buy", 1, best["low"]))
    other = pointed(ccxt.bitmart(keys(apiKey="nobody")))
    raises(ccxt.AuthenticationError, lambda: other.fetch_balance({"type": "swap"}))


@table.case("cancel all")
def _():
    for _ in range(2):
        ex.create_order(SYMBOL, "limit", "buy", 1, best["low"])
    ex.cancel_all_orders(SYMBOL)
    check(ex.fetch_open_orders(SYMBOL) == [], "still open")


@table.case("funding rate")
def _():
    rate = ex.fetch_funding_rate(SYMBOL)
    check(rate["fundingRate"] is not None and rate["fundingTimestamp"] > ex.milliseconds(), rate)
    check(isinstance(ex.fetch_funding_rate_history(SYMBOL), list), "no list")


@table.case("no permission for transfers")
def _():
    raises(ccxt.PermissionDenied, lambda: ex.transfer("USDT", 1, "spot", "swap"))


async def streams():
    pro = pointed(ccxt.pro.bitmart(keys()))
    await pro.load_markets()
    await table.watch("watch ticker", lambda: pro.watch_ticker(SYMBOL), lambda t: t["bid"] < t["ask"] and t["last"])
    await table.watch(
        "watch bids and asks",
        lambda: pro.watch_bids_asks([SYMBOL]),
        lambda t: SYMBOL in t and t[SYMBOL]["bid"] < t[SYMBOL]["ask"],
    )
    await table.watch("watch trades", lambda: pro.watch_trades(SYMBOL), lambda t: t[-1]["amount"] >= 1 and t[-1]["side"])
    await table.watch("watch candles", lambda: pro.watch_ohlcv(SYMBOL, "1m"), lambda c: c[-1][5] >= 0)
    await table.watch(
        "watch funding rate",
        lambda: pro.watch_funding_rate(SYMBOL),
        lambda rate: rate["nextFundingTimestamp"] > pro.milliseconds(),
    )

    def book_is_whole(book):
        rest = ex.fetch_order_book(SYMBOL)
        near = abs(book["bids"][0][0] - rest["bids"][0][0]) / rest["bids"][0][0]
        return book["bids"][0][0] < book["asks"][0][0] and len(book["asks"]) == 50 and near < 0.001

    await table.watch("watch order book", lambda: pro.watch_order_book(SYMBOL), book_is_whole)

    async def order_story():
        orders = asyncio.ensure_future(pro.watch_orders(SYMBOL))
        balances = asyncio.ensure_future(pro.watch_balance({"type": "swap"}))
        await asyncio.sleep(1)
        order = await pro.create_order(SYMBOL, "limit", "buy", 1, best["low"])
        seen = (await asyncio.wait_for(orders, 10))[-1]
        check(seen["id"] == order["id"] and seen["status"] == "open", seen)
        balance = await asyncio.wait_for(balances, 10)
        # The first one is what there was before.
        for _ in range(3):
            if not balance["USDT"]["used"]:
                balance = await asyncio.wait_for(pro.watch_balance({"type": "swap"}), 10)
        check(balance["USDT"]["used"] > 0, balance)
        orders = asyncio.ensure_future(pro.watch_orders(SYMBOL))
        await asyncio.sleep(0.2)
        await pro.cancel_order(order["id"], SYMBOL)
        seen = (await asyncio.wait_for(orders, 10))[-1]
        check(seen["status"] == "canceled", seen)

    await table.story("watch orders and balance", order_story)

    async def position_story():
        positions = asyncio.ensure_future(pro.watch_positions([SYMBOL]))
        await asyncio.sleep(1)
        await pro.create_order(SYMBOL, "market", "buy", 2)
        seen = (await asyncio.wait_for(positions, 10))[-1]
        check(seen["contracts"] == 2 and seen["side"] == "long", seen)
        await pro.create_order(SYMBOL, "market", "sell", 2, None, {"reduceOnly": True})

    await table.story("watch positions", position_story)
    table.none("watch my trades", "ccxt has none for BitMart, and the venue sends fills with its orders")
    await pro.close()


asyncio.run(streams())
table.end()
