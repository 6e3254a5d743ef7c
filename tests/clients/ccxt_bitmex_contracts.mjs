// ccxt's BitMEX contracts over a gateway, in JavaScript: the rows of ccxt_bitmex_contracts.py.

import { ccxt, ex, keys, pointed, table } from "./bitmex_here.mjs";
import { check, pause, raises, within } from "./table.mjs";

const tenth = (price) => Math.round(price * 10) / 10;

async function contract(symbol, settle) {
    const best = {};
    const row = (name, run) => table.case(`${symbol} ${name}`, run);
    const position = async () => (await ex.fetchPositions([symbol])).find((one) => one.symbol === symbol);
    const held = async () => Number((await position())?.info.currentQty ?? 0);

    await row("load markets", async () => {
        const market = (await ex.loadMarkets())[symbol];
        check(market.swap && market.active && market.settle === settle, market);
        check(market.linear === (settle === "USDT") && market.inverse === (settle === "BTC"), market);
        check(market.precision.amount === 100 && market.precision.price === 0.1, market.precision);
        check(market.maker === 0.0005 && market.taker === 0.0005, market);
    });
    await row("ticker", async () => {
        const ticker = await ex.fetchTicker(symbol);
        check(ticker.bid < ticker.ask && ticker.last && ticker.markPrice, ticker);
    });
    await row("order book", async () => {
        const book = await ex.fetchOrderBook(symbol, 20);
        [best.bid, best.ask] = [book.bids[0][0], book.asks[0][0]];
        [best.low, best.high] = [tenth(best.bid * 0.99), tenth(best.ask * 1.01)];
        check(best.bid < best.ask && book.bids.length > 10, book);
    });
    await row("trades", async () => {
        const trades = await ex.fetchTrades(symbol, undefined, 20);
        const times = trades.map((trade) => trade.timestamp);
        check(trades.length === 20 && times.every((time, at) => at === 0 || times[at - 1] <= time), trades);
    });
    await row("candles", async () => {
        const candles = await ex.fetchOHLCV(symbol, "1m", undefined, 3);
        check(candles.length === 3 && candles[1][0] - candles[0][0] === 60_000, candles);
    });
    await row("balance", async () => {
        const balance = await ex.fetchBalance();
        check(balance[settle].free > 0 && balance[settle].total >= balance[settle].free, balance);
    });
    await row("set leverage", async () => {
        const told = await ex.setLeverage(10, symbol);
        check(Number(told.leverage) === 10 && String(told.crossMargin) === "false", told);
        await raises(ccxt.BadRequest, () => ex.setLeverage(1000, symbol));
    });
    await row("margin mode", async () => {
        check(String((await ex.setMarginMode("cross", symbol)).crossMargin) === "true", "not cross");
        check(String((await ex.setLeverage(10, symbol)).crossMargin) === "false", "not isolated");
    });
    await row("post-only rests", async () => {
        best.order = (await ex.createOrder(symbol, "limit", "buy", 100, best.low, { postOnly: true })).id;
        const order = await ex.fetchOrder(best.order, symbol);
        check(order.status === "open" && !order.filled && order.price === best.low, order);
        check(Number(order.info.orderQty) === 100 && order.postOnly, order);
    });
    await row("post-only that would match ends", async () => {
        const order = await ex.createOrder(symbol, "limit", "buy", 100, best.high, { postOnly: true });
        check(order.status === "canceled" && !order.filled, order);
    });
    await row("open orders", async () => {
        const ids = (await ex.fetchOpenOrders(symbol)).map((order) => order.id);
        check(ids.length === 1 && ids[0] === best.order, ids);
    });
    await row("amend", async () => {
        const order = await ex.editOrder(best.order, symbol, "limit", "buy", 200, tenth(best.low - 1));
        check(order.price === tenth(best.low - 1) && Number(order.info.orderQty) === 200, order);
    });
    await row("client order id", async () => {
        const wish = { clientOrderId: `js/${settle}` };
        const order = await ex.createOrder(symbol, "limit", "buy", 100, best.low, wish);
        check(order.clientOrderId === `js/${settle}`, order);
        await raises(ccxt.InvalidOrder, () => ex.createOrder(symbol, "limit", "buy", 100, best.low, wish));
        await ex.cancelOrder(order.id, symbol);
    });
    await row("cancel", async () => {
        check((await ex.cancelOrder(best.order, symbol)).status === "canceled", "not cancelled");
        check((await ex.fetchOpenOrders(symbol)).length === 0, "still open");
        await raises(ccxt.OrderNotFound, () => ex.cancelOrder(best.order, symbol));
    });
    await row("market order fills with the right fee", async () => {
        const order = await ex.createOrder(symbol, "market", "buy", 1000);
        check(order.status === "closed" && Number(order.info.cumQty) === 1000, order);
        const trades = (await ex.fetchMyTrades(symbol)).filter((trade) => trade.order === order.id);
        const sum = (name) => trades.reduce((all, trade) => all + Math.abs(Number(trade.info[name])), 0);
        check(trades.length && Math.abs(sum("execComm") - sum("execCost") * 0.0005) <= trades.length, trades);
    });
    await row("positions", async () => {
        const one = await position();
        check(one.side === "long" && one.contracts === 1000, one);
        check(one.leverage === 10 && one.marginMode === "isolated", one);
        check(0 < one.liquidationPrice && one.liquidationPrice < one.entryPrice && one.markPrice, one);
    });
    await row("reduce-only", async () => {
        let order = await ex.createOrder(symbol, "market", "sell", 300, undefined, { reduceOnly: true });
        check(Number(order.info.cumQty) === 300 && (await held()) === 700, order);
        order = await ex.createOrder(symbol, "limit", "buy", 100, best.low, { reduceOnly: true });
        check(order.status === "canceled" && !order.filled, order);
    });
    await row("stop orders wait", async () => {
        const above = { triggerPrice: best.high, triggerDirection: "above" };
        const below = { triggerPrice: best.low, triggerDirection: "below", execInst: "LastPrice" };
        const first = await ex.createOrder(symbol, "market", "buy", 100, undefined, above);
        const second = await ex.createOrder(symbol, "limit", "sell", 100, tenth(best.low - 1), below);
        check(first.info.ordType === "Stop" && second.info.ordType === "StopLimit", [first, second]);
        check(first.status === "open" && String(first.info.workingIndicator) === "false", first);
        check(Number(first.triggerPrice) === best.high, first);
        for (const order of [first, second]) {
            check((await ex.cancelOrder(order.id, symbol)).status === "canceled", "not cancelled");
        }
    });
    await row("trailing stop", async () => {
        const trail = (trailingAmount) => ({ trailingAmount, triggerDirection: "below" });
        const order = await ex.createOrder(symbol, "market", "sell", 100, undefined, trail("500"));
        check(order.info.ordType === "Stop" && order.info.pegPriceType === "TrailingStopPeg", order);
        check(Number(order.info.pegOffsetValue) === -500 && Number(order.triggerPrice) < best.bid, order);
        const changed = await ex.editOrder(order.id, symbol, "market", "sell", undefined, undefined, trail("400"));
        check(Number(changed.info.pegOffsetValue) === -400, changed);
        check(changed.triggerPrice > order.triggerPrice, [order, changed]);
        check((await ex.cancelOrder(order.id, symbol)).status === "canceled", "not cancelled");
    });
    await row("iceberg order", async () => {
        const order = await ex.createOrder(symbol, "limit", "buy", 300, best.low, { displayQty: 100 });
        check(Number(order.info.displayQty) === 100 && Number(order.info.orderQty) === 300, order);
        const changed = await ex.editOrder(order.id, symbol, "limit", "buy", 200, best.low);
        check(Number(changed.info.displayQty) === 100 && Number(changed.info.orderQty) === 200, changed);
        check((await ex.cancelOrder(order.id, symbol)).status === "canceled", "not cancelled");
    });
    await row("another stop price", async () => {
        const below = { triggerPrice: best.low, triggerDirection: "below" };
        const order = await ex.createOrder(symbol, "market", "sell", 100, undefined, below);
        const stopPx = tenth(best.low - 10);
        const changed = await ex.editOrder(order.id, symbol, "market", "sell", 200, undefined, { stopPx });
        check(changed.triggerPrice === stopPx && Number(changed.info.orderQty) === 200, changed);
        check((await ex.cancelOrder(order.id, symbol)).status === "canceled", "not cancelled");
    });
    await row("a stop that is reached fills", async () => {
        const price = tenth(best.bid * 0.9);
        const reached = { triggerPrice: price, triggerDirection: "above", execInst: "LastPrice" };
        let order = await ex.createOrder(symbol, "market", "buy", 100, undefined, reached);
        for (let turn = 0; turn < 100 && order.status !== "closed"; turn++) {
            await pause(0.2);
            order = await ex.fetchOrder(order.id, symbol);
        }
        check(order.status === "closed" && order.info.triggered === "StopOrderTriggered", order);
    });
    await row("close position", async () => {
        const order = await ex.closePosition(symbol);
        check(order.status === "closed" && (await held()) === 0, order);
    });
    await row("short", async () => {
        await ex.createOrder(symbol, "market", "sell", 200);
        const one = await position();
        check(one.side === "short" && one.liquidationPrice > one.entryPrice, one);
        await ex.createOrder(symbol, "market", "buy", 200);
        check((await held()) === 0, "not flat");
    });
    await row("ledger", async () => {
        const rows = (await ex.fetchLedger(settle, undefined, 500)).map((one) => one.info);
        const own = rows.filter((one) => one.address === ex.marketId(symbol));
        check(own.some((one) => one.transactType === "RealisedPNL"), rows);
        const done = rows.filter((one) => one.transactStatus === "Completed");
        const booked = done.reduce((all, one) => all + BigInt(one.amount), 0n);
        const wallet = await ex.privateGetUserWallet({ currency: settle === "USDT" ? "USDt" : "XBt" });
        check(booked === BigInt(wallet.amount), `${booked} ${wallet.amount}`);
    });
    await row("insufficient funds", async () => {
        const many = settle === "USDT" ? 100_000_000 : 9_000_000;
        const wish = { symbol: ex.marketId(symbol), side: "Buy", orderQty: many, price: best.low, ordType: "Limit" };
        await raises(ccxt.InsufficientFunds, () => ex.privatePostOrder(wish));
    });
    await row("bad precision", async () => {
        const wish = { symbol: ex.marketId(symbol), side: "Buy", orderQty: 100, price: 50_000.03, ordType: "Limit" };
        await raises(ccxt.BadRequest, () => ex.privatePostOrder(wish));
        await raises(ccxt.BadRequest, () => ex.privatePostOrder({ ...wish, orderQty: 150, price: 50_000 }));
    });
    await row("unknown order", async () => {
        await raises(ccxt.OrderNotFound, () => ex.fetchOrder("00000000-0000-4000-8000-0000000fffff", symbol));
    });
    await row("bad signature", async () => {
        for (const other of [{ secret: "wrong" }, { apiKey: "nobody" }]) {
            const stranger = await pointed(new ccxt.bitmex(keys(other)));
            await raises(ccxt.AuthenticationError, () => stranger.fetchPositions());
        }
    });
    await row("cancel all", async () => {
        for (let at = 0; at < 2; at++) await ex.createOrder(symbol, "limit", "buy", 100, best.low);
        const above = { triggerPrice: best.high, triggerDirection: "above" };
        await ex.createOrder(symbol, "market", "buy", 100, undefined, above);
        check((await ex.cancelAllOrders(symbol)).length === 3, "not all");
        check((await ex.fetchOpenOrders(symbol)).length === 0, "still open");
    });
    await row("cancel all after", async () => {
        check("cancelTime" in (await ex.cancelAllOrdersAfter(60_000)), "no time");
        await ex.cancelAllOrdersAfter(0);
    });
    await row("funding rate", async () => {
        const funding = (await ex.fetchFundingRates([symbol]))[symbol];
        check(funding.fundingRate !== undefined && funding.fundingTimestamp && funding.markPrice, funding);
        check(funding.fundingDatetime.endsWith(".000Z"), funding);
    });
    await row("funding history", async () => {
        // Fundings are eight hours apart: most runs see none, and say so.
        const rows = await ex.fetchFundingRateHistory(symbol, undefined, 5);
        check(rows.every((one) => one.symbol === symbol && one.fundingRate !== undefined), rows);
        return rows.length ? "" : "none was due yet";
    });
}

async function streams(symbol, settle) {
    const pro = await pointed(new ccxt.pro.bitmex(keys()));
    await pro.loadMarkets();
    const row = (name, watch, good) => table.watch(`${symbol} ${name}`, watch, good);
    await row("watch ticker", () => pro.watchTicker(symbol), (t) => t.bid < t.ask && t.last);
    await row("watch trades", () => pro.watchTrades(symbol), (t) => t.at(-1).price > 0);
    await row("watch order book", () => pro.watchOrderBook(symbol), async (book) => {
        const rest = await ex.fetchOrderBook(symbol, 25);
        const near = Math.abs(book.bids[0][0] - rest.bids[0][0]) / rest.bids[0][0];
        return book.bids[0][0] < book.asks[0][0] && near < 0.001;
    });
    await row("watch candles", () => pro.watchOHLCV(symbol, "1m"), (c) => c.at(-1)[5] > 0);
    await table.case(`${symbol} watch orders, balance, my trades and positions`, async () => {
        const low = tenth((await ex.fetchOrderBook(symbol, 5)).bids[0][0] * 0.99);
        let orders = pro.watchOrders(symbol);
        const balances = pro.watchBalance();
        await pause(1);
        let order = await pro.createOrder(symbol, "limit", "buy", 100, low);
        let seen = (await within(orders, 10)).at(-1);
        check(seen.id === order.id && seen.status === "open", seen);
        check((await within(balances, 10))[settle].free > 0, "no balance");
        orders = pro.watchOrders(symbol);
        await pause(0.2);
        await pro.cancelOrder(order.id, symbol);
        seen = (await within(orders, 10)).at(-1);
        check(seen.status === "canceled", seen);
        const trades = pro.watchMyTrades(symbol);
        let positions = pro.watchPositions([symbol]);
        await pause(0.5);
        order = await pro.createOrder(symbol, "market", "buy", 100);
        seen = (await within(trades, 10)).at(-1);
        check(seen.order === order.id, seen);
        for (let turn = 0; turn < 20; turn++) {
            seen = (await within(positions, 10)).filter((one) => one.symbol === symbol).at(-1);
            if (seen?.contracts === 100) break;
            positions = pro.watchPositions([symbol]);
        }
        check(seen?.contracts === 100 && seen.side === "long", seen ?? "no position");
        await pro.createOrder(symbol, "market", "sell", 100, undefined, { reduceOnly: true });
    });
    await pro.close();
}

for (const wanted of [["BTC/USDT:USDT", "USDT"], ["BTC/USD:BTC", "BTC"]]) {
    await contract(...wanted);
    await streams(...wanted);
}
table.end();
