"""A bot that makes markets on BitMEX, on paper: one order on each side of the middle, moved as the market moves.

papertape connect bitmex_perpetual_paper_trade --demo --serve 127.0.0.1:8000
python market_maker.py http://127.0.0.1:8000/bitmex 20
"""

import sys
import time

import ccxt

here, rounds = sys.argv[1], int(sys.argv[2])
exchange = ccxt.bitmex({"apiKey": "paper-key", "secret": "paper-secret"})
exchange.urls["api"] = {"public": here, "private": here}
symbol, size, away = "BTC/USD:BTC", 100, 0.0002
for _ in range(rounds):
    book = exchange.fetch_order_book(symbol, 1)
    middle = (book["bids"][0][0] + book["asks"][0][0]) / 2
    held = sum(position["contracts"] * (1 if position["side"] == "long" else -1) for position in exchange.fetch_positions([symbol]))
    exchange.cancel_all_orders(symbol)
    for side, price in (("buy", middle * (1 - away)), ("sell", middle * (1 + away))):
        if abs(held) < 1000 or (held > 0) == (side == "sell"):
            exchange.create_order(symbol, "limit", side, size, price, {"postOnly": True})
    time.sleep(1)
print("holds", held, "open", len(exchange.fetch_open_orders(symbol)), "fills", len(exchange.fetch_my_trades(symbol)))
