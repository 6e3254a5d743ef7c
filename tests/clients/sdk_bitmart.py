"""BitMart's own SDK for Python over a gateway. Usage: sdk_bitmart.py TABLE.json"""

import json
import sys
import time

from bitmart.__version__ import __version__ as version
from bitmart.api_account import APIAccount
from bitmart.api_spot import APISpot
from bitmart.api_system import APISystem
from bitmart.lib.cloud_exceptions import APIException
from bitmart.websocket.spot_socket_client import SpotSocketClient
from bitmart_here import KEY, MOUNT
from table import Table, check, raises

TERMS = (KEY["key"], KEY["secret"], KEY["passphrase"])
SYMBOL = "BTC_USDT"

table = Table(f"bitmart-python-sdk-api {version}")
spot = APISpot(*TERMS, url=MOUNT["rest"])
account = APIAccount(*TERMS, url=MOUNT["rest"])
system = APISystem(url=MOUNT["rest"])
best = {}


def data(answer):
    body, _ = answer
    check(body["code"] == 1000, body)
    return body["data"]


@table.case("time and status")
def _():
    check(abs(data(system.get_system_time())["server_time"] / 1000 - time.time()) < 5, "the time is not now")
    check(data(system.get_system_service())["service"][0]["status"] == "2", "not ok")


@table.case("currencies, symbols, details")
def _():
    check(data(spot.get_currencies())["currencies"], "no currencies")
    check(SYMBOL in data(spot.get_symbols())["symbols"], "no symbol")
    detail = next(row for row in data(spot.get_symbol_detail())["symbols"] if row["symbol"] == SYMBOL)
    check(detail["base_min_size"] == detail["quote_increment"] == "0.00001", detail)


@table.case("tickers, depth, trades, candles")
def _():
    check(len(data(spot.get_v3_tickers())[0]) == 13, "not 13 columns")
    ticker = data(spot.get_v3_ticker(SYMBOL))
    check(float(ticker["bid_px"]) < float(ticker["ask_px"]), ticker)
    depth = data(spot.get_v3_depth(SYMBOL, 20))
    check(len(depth["asks"]) == 20, depth)
    best["low"] = depth["bids"][15][0]
    check(len(data(spot.get_v3_trades(SYMBOL, 5))) == 5, "not five trades")
    check(len(data(spot.get_v3_latest_kline(SYMBOL, step=1, limit=2))) == 2, "not two candles")
    check(data(spot.get_v3_history_kline(SYMBOL, step=5, limit=2)), "no candles")


@table.case("wallet and fees")
def _():
    check(any(float(row["available"]) > 0 for row in data(spot.get_wallet())["wallet"]), "nothing")
    check(data(account.get_wallet()), "nothing")
    check(data(account.get_actual_trade_fee_rate(SYMBOL))["buy_taker_fee_rate"] == "0.0025", "another fee")
    check(data(account.get_basic_fee_rate())["taker_fee_rate_A"] == "0.0025", "another fee")


@table.case("an order from its birth to its end")
def _():
    order = data(spot.post_submit_order(
        SYMBOL, "buy", "limit_maker", client_order_id="sdk1", size="0.01", price=best["low"]))["order_id"]
    found = data(spot.v4_query_order_by_id(order, "open"))
    check(found["state"] == "new" and found["clientOrderId"] == "sdk1", found)
    check(data(spot.v4_query_order_by_order_client_id("sdk1", "open"))["orderId"] == order, "another order")
    check([row["orderId"] for row in data(spot.v4_query_open_orders(SYMBOL))] == [order], "not open")
    check(data(spot.post_cancel_order_by_clientid(SYMBOL, "sdk1"))["result"] is True, "not cancelled")
    check(data(spot.v4_query_account_orders(SYMBOL))[0]["state"] == "canceled", "not cancelled")


@table.case("market order, its trades")
def _():
    order = data(spot.post_submit_order(SYMBOL, "sell", "market", size="0.01"))["order_id"]
    trades = data(spot.v4_query_order_trade_list(order))
    check(trades and all(row["tradeRole"] == "taker" for row in trades), trades)
    check(data(spot.v4_query_account_trade_list(SYMBOL))[0]["orderId"] == order, "not the newest")


@table.case("batch, cancel several, cancel all")
def _():
    rows = [{"side": "buy", "type": "limit", "size": "0.01", "price": best["low"]} for _ in range(3)]
    ids = data(spot.post_batch_orders(SYMBOL, rows))["data"]["orderIds"]
    check(len(ids) == 3, ids)
    check(data(spot.post_cancel_orders(SYMBOL, order_ids=ids[:2]))["successCount"] == 2, "not two")
    data(spot.post_cancel_all_order(SYMBOL))
    check(data(spot.v4_query_open_orders(SYMBOL)) == [], "still open")


@table.case("refusals")
def _():
    error = raises(APIException, lambda: spot.post_submit_order(
        SYMBOL, "buy", "limit", size="100000", price=best["low"]))
    check("50020" in str(error.response), error.response)
    error = raises(APIException, lambda: spot.v4_query_order_by_id("1", "open"))
    check("50005" in str(error.response), error.response)
    other = APISpot(KEY["key"], "wrong", KEY["passphrase"], url=MOUNT["rest"])
    error = raises(APIException, lambda: other.post_cancel_order_by_orderid(SYMBOL, "1"))
    check("30005" in str(error.response), error.response)


@table.case("sockets")
def _():
    seen = []
    public = SpotSocketClient(f"{MOUNT['websocket']}/api?protocol=1.1&compress=all", on_message=seen.append)
    public.subscribe(args=["spot/depth50:BTC_USDT", "spot/trade:BTC_USDT"])
    private = SpotSocketClient(
        f"{MOUNT['websocket']}/user?protocol=1.1",
        on_message=seen.append,
        api_key=KEY["key"],
        api_secret_key=KEY["secret"],
        api_memo=KEY["passphrase"],
    )
    private.login()
    private.subscribe(args="spot/user/order:BTC_USDT")
    time.sleep(1)
    order = data(spot.post_submit_order(SYMBOL, "buy", "limit", size="0.01", price=best["low"]))["order_id"]
    end = time.time() + 15
    wanted = {"spot/depth50", "spot/trade", "spot/user/order"}
    while time.time() < end:
        frames = [json.loads(frame) if isinstance(frame, str) and frame.startswith("{") else frame for frame in seen]
        tables = {frame.get("table") for frame in frames if isinstance(frame, dict)}
        if wanted <= tables:
            break
        time.sleep(0.2)
    data(spot.post_cancel_order_by_orderid(SYMBOL, order))
    check(wanted <= tables, f"{wanted - tables} missing")


table.none("amend", "spot orders cannot be changed: there is no such request in the API documentation")
try:
    table.end()
except SystemExit as end:
    # The SDK's ping timers have no end of their own.
    sys.stdout.flush()
    import os

    os._exit(end.code)
