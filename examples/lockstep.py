"""A market maker on BitMart, on paper and in lock-step: the market waits for it, and the same run ends the same.

papertape serve bitmart_paper_trade --demo --paused --keep-time --auth-window off --rate-limits off --admin-token T
python lockstep.py http://127.0.0.1:8000 T
"""

import sys

import ccxt

here, token = sys.argv[1:3]
exchange = ccxt.bitmart({"apiKey": "paper-key", "secret": "paper-secret", "uid": "paper-memo", "enableRateLimit": False})
exchange.urls["api"] = {"spot": f"{here}/bitmart", "swap": f"{here}/bitmart"}
headers = {"Authorization": f"Bearer {token}"}
for step in range(20):
    exchange.cancel_all_orders("BTC/USDT")
    book = exchange.fetch_order_book("BTC/USDT", 5)
    exchange.create_order("BTC/USDT", "limit", "buy", 0.01, book["bids"][0][0], {"postOnly": True})
    exchange.create_order("BTC/USDT", "limit", "sell", 0.01, book["asks"][0][0], {"postOnly": True})
    clock = exchange.session.post(f"{here}/papertape/clock", headers=headers, json={"advance_ms": 1000}).json()
print("fills", len(exchange.fetch_my_trades("BTC/USDT")), "state", clock["state_hash"])
