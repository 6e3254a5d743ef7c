"""hftbacktest's side of run.py: a Tardis CSV pair to results, with its compiler warmed up. Prints one JSON object."""
import argparse
import contextlib
import io
import json
import os
import resource
import time

import numpy as np
from hftbacktest import GTX, LIMIT, BacktestAsset, ROIVectorMarketDepthBacktest
from hftbacktest.data.utils import tardis
from numba import njit

TICK, LOT, SIZE, CAP, STEP_NS, AWAY = 0.5, 100.0, 100.0, 5000.0, 100_000_000, 2
WARM_ROWS = 20_000
NOTHING = 9223372036854775807


def convert(book, trades):
    rows = os.path.getsize(book) // 40 + os.path.getsize(trades) // 60
    with contextlib.redirect_stdout(io.StringIO()):
        return tardis.convert([trades, book], buffer_size=int(rows))


def market(data):
    asset = (
        BacktestAsset()
        .data(data)
        .inverse_asset(1.0)
        .constant_order_latency(0, 0)
        .tick_size(TICK)
        .lot_size(LOT)
        .trading_value_fee_model(-0.0001, 0.0005)
        .last_trades_capacity(0)
        .no_partial_fill_exchange()
        .power_prob_queue_model(2.0)
        .roi_lb(0.0)
        .roi_ub(200_000.0)
    )
    return ROIVectorMarketDepthBacktest([asset])


@njit
def quote(hbt):
    """The quoting rule of the built-in strategy `grid_quoter`."""
    number, sent = 1, 0
    bid_id, ask_id, bid_at, ask_at = 0, 0, 0, 0
    while True:
        if hbt.elapse(STEP_NS) != 0:
            break
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid <= 0 or ask <= 0 or ask >= NOTHING or bid >= ask:
            continue
        buy_at = min((bid + ask) // 2 - AWAY, bid)
        sell_at = max((bid + ask + 1) // 2 + AWAY, ask)
        position = hbt.position(0)
        buys, sells = position < CAP, position > -CAP
        orders = hbt.orders(0)
        bid_lives = bid_id != 0 and (bid_id in orders)
        ask_lives = ask_id != 0 and (ask_id in orders)
        if bid_lives and (bid_at != buy_at or not buys):
            if orders.get(bid_id).cancellable:
                hbt.cancel(0, bid_id, False)
                bid_lives = False
        if ask_lives and (ask_at != sell_at or not sells):
            if orders.get(ask_id).cancellable:
                hbt.cancel(0, ask_id, False)
                ask_lives = False
        if buys and not bid_lives:
            number += 1
            sent += 1
            bid_id, bid_at = number, buy_at
            hbt.submit_buy_order(0, number, buy_at * TICK, SIZE, GTX, LIMIT, False)
        if sells and not ask_lives:
            number += 1
            sent += 1
            ask_id, ask_at = number, sell_at
            hbt.submit_sell_order(0, number, sell_at * TICK, SIZE, GTX, LIMIT, False)
    state = hbt.state_values(0)
    return sent, state.num_trades, state.trading_volume, state.position


def array(options):
    """One run over an event array that is there already (`docs/realism.md`)."""
    data = np.load(options.npz)["data"].copy()
    tested = market(data)
    sent, fills, volume, position = quote(tested)
    tested.close()
    print(json.dumps({"orders": sent, "fills": fills, "volume": volume, "position": position, "rows": len(data)}))


def main():
    global TICK, LOT, SIZE, CAP, AWAY  # numba takes them as they are at the first call
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--book")
    parser.add_argument("--trades")
    parser.add_argument("--npz", help="an event array in place of the two files; no times are taken")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--tick", type=float, default=TICK)
    parser.add_argument("--lot", type=float, default=LOT)
    parser.add_argument("--qty", type=float, default=SIZE)
    parser.add_argument("--max-pos", type=float, default=CAP)
    parser.add_argument("--k", type=int, default=AWAY)
    options = parser.parse_args()
    TICK, LOT, SIZE, CAP, AWAY = options.tick, options.lot, options.qty, options.max_pos, options.k
    if options.npz:
        return array(options)
    if not (options.book and options.trades):
        parser.error("--book and --trades, or --npz")
    data = convert(options.book, options.trades)
    some = data[:WARM_ROWS].copy()  # kept by name: the peer reads it without owning it
    warm = market(some)
    quote(warm)
    warm.close()
    best = {"convert": float("inf"), "run": float("inf")}
    for _ in range(options.rounds):
        del data
        begin = time.perf_counter()
        data = convert(options.book, options.trades)
        converted = time.perf_counter()
        tested = market(data)
        set_up = time.perf_counter()
        sent, fills, volume, position = quote(tested)
        done = time.perf_counter()
        tested.close()
        best["convert"] = min(best["convert"], converted - begin)
        best["run"] = min(best["run"], done - set_up)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results = {"orders": sent, "fills": fills, "volume": volume, "position": position, "rows": len(data)}
    print(json.dumps({**best, **results, "peak_mb": round(peak, 1)}))


main()
