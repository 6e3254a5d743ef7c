// ccxt's BitMart (spot) over a gateway, in JavaScript: the rows of ccxt_bitmart.py.

import { ccxt, keys, pointed } from "./bitmart_here.mjs";
import { Table, check, pause, raises, within } from "./table.mjs";

const SYMBOL = "BTC/USDT";
const table = new Table(`ccxt.js ${ccxt.version} bitmart`);
const ex = await pointed(new ccxt.bitmart(keys()));
const best = {};
const limit = (amount, price, params) => ex.createOrder(SYMBOL, "limit", "buy", amount, price, params);
const open = async () => (await ex.fetchOpenOrders(SYMBOL)).map((order) => order.id);

await table.case("load markets", async () => {
    const market = (await ex.loadMarkets())[SYMBOL];
    check(market.precision.amount === 0.00001 && market.precision.price === 0.01 && market.active, market);
});
await table.case("time and status", async () => {
    check(Math.abs((await ex.fetchTime()) - Date.now()) < 5_000, "the time is not now");
    check((await ex.fetchStatus()).status === "ok", "not ok");
});
await table.case("ticker", async () => {
    const ticker = await ex.fetchTicker(SYMBOL);
    check(ticker.bid < ticker.ask && ticker.last && ticker.baseVolume > 0, ticker);
    check(SYMBOL in (await ex.fetchTickers()), "not among all tickers");
});
await table.case("order book", async () => {
    const book = await ex.fetchOrderBook(SYMBOL, 20);
    [best.bid, best.ask, best.low] = [book.bids[0][0], book.asks[0][0], book.bids[15][0]];
    check(best.bid < best.ask && book.asks.length === 20, book);
});
await table.case("trades", async () => {
    const trades = await ex.fetchTrades(SYMBOL, undefined, 20);
    const times = trades.map((trade) => trade.timestamp);
    check(trades.length === 20 && times.every((time, at) => at === 0 || times[at - 1] <= time), trades);
});
await table.case("candles", async () => {
    const candles = await ex.fetchOHLCV(SYMBOL, "1m", undefined, 3);
    check(candles.length === 3 && candles[1][0] - candles[0][0] === 60_000, candles);
    for (const [, start, high, low, end, volume] of candles) {
        check(low <= Math.min(start, end) && high >= Math.max(start, end) && volume > 0, candles);
    }
});
await table.case("balance", async () => {
    const balance = await ex.fetchBalance();
    check(balance.BTC.free > 0 && balance.USDT.total > 0, balance);
});
await table.case("trading fee", async () => {
    const fee = await ex.fetchTradingFee(SYMBOL);
    check(fee.maker === 0.0025 && fee.taker === 0.0025, fee);
});
await table.case("post-only rests", async () => {
    best.order = (await limit(0.01, best.low, { postOnly: true })).id;
    const order = await ex.fetchOrder(best.order, SYMBOL);
    check(order.status === "open" && order.filled === 0 && order.price === best.low, order);
});
await table.case("post-only that would match ends", async () => {
    const { id } = await limit(0.01, best.ask * 1.01, { postOnly: true });
    const order = await ex.fetchOrder(id, SYMBOL);
    check(order.status === "canceled" && order.filled === 0, order);
});
await table.case("open orders", async () => {
    const ids = await open();
    check(ids.length === 1 && ids[0] === best.order, ids);
});
table.none("amend", "spot orders cannot be changed: there is no such request in the API documentation");
await table.case("client order id", async () => {
    const { id } = await limit(0.01, best.low, { clientOrderId: "js17" });
    const found = await ex.fetchOrder(undefined, SYMBOL, { clientOrderId: "js17" });
    check(found.id === id && found.clientOrderId === "js17", found);
    await raises(ccxt.BadRequest, () => limit(0.01, best.low, { clientOrderId: "js17" }));
    await ex.cancelOrder(id, SYMBOL);
});
await table.case("cancel", async () => {
    await ex.cancelOrder(best.order, SYMBOL);
    check((await ex.fetchOrder(best.order, SYMBOL)).status === "canceled", "not cancelled");
    check((await open()).length === 0, "still open");
    await raises(ccxt.OrderNotFound, () => ex.cancelOrder(best.order, SYMBOL));
});
await table.case("market sell fills with the right fee", async () => {
    const { id } = await ex.createOrder(SYMBOL, "market", "sell", 0.01);
    const order = await ex.fetchOrder(id, SYMBOL);
    check(order.status === "closed" && order.filled === 0.01, order);
    const trades = await ex.fetchOrderTrades(id, SYMBOL);
    const sum = (field) => trades.reduce((all, trade) => all + Number(trade.info[field]), 0);
    check(Math.abs(sum("fee") - sum("notional") * 0.0025) <= 1e-8 * trades.length, trades);
    check(trades.every((trade) => trade.takerOrMaker === "taker" && trade.fee.currency === "USDT"), trades);
});
await table.case("market buy spends quote", async () => {
    const { id } = await ex.createMarketBuyOrderWithCost(SYMBOL, 650);
    const order = await ex.fetchOrder(id, SYMBOL);
    check(order.cost > 0 && order.cost <= 650 && order.filled > 0, order);
});
await table.case("my trades and closed orders", async () => {
    check((await ex.fetchMyTrades(SYMBOL)).length >= 2, "fewer than two fills");
    check((await ex.fetchClosedOrders(SYMBOL)).some((order) => order.status === "closed"), "none is closed");
});
await table.case("several at once", async () => {
    const one = { symbol: SYMBOL, type: "limit", side: "buy", amount: 0.01, price: best.low };
    const ids = (await ex.createOrders([one, { ...one, amount: 0.02 }])).map((order) => order.id);
    check(ids.length === 2, ids);
    await ex.cancelOrders(ids, SYMBOL);
    check((await open()).length === 0, "still open");
});
await table.case("insufficient funds", async () => {
    await raises(ccxt.InsufficientFunds, () => limit(1_000, best.low));
});
await table.case("bad precision", async () => {
    await raises(ccxt.InvalidOrder, () => limit(0.000001, best.low));
    const wrong = { symbol: "BTC_USDT", side: "buy", type: "limit", size: "0.0000015", price: "60000" };
    await raises(ccxt.BadRequest, () => ex.privatePostSpotV2SubmitOrder(wrong));
});
await table.case("too small", async () => {
    await raises(ccxt.InvalidOrder, () => limit(0.00001, best.low));
});
await table.case("unknown order", async () => {
    await raises(ccxt.OrderNotFound, () => ex.fetchOrder("200000000099999999", SYMBOL));
    await raises(ccxt.OrderNotFound, () => ex.cancelOrder("200000000099999999", SYMBOL));
});
await table.case("unknown symbol", async () => {
    const wrong = { symbol: "NO_USDT", side: "buy", type: "limit", size: "1", price: "60000" };
    await raises(ccxt.BadSymbol, () => ex.privatePostSpotV2SubmitOrder(wrong));
});
await table.case("bad signature", async () => {
    const other = await pointed(new ccxt.bitmart(keys({ secret: "wrong" })));
    await other.loadMarkets();
    await raises(ccxt.AuthenticationError, () => other.createOrder(SYMBOL, "limit", "buy", 0.01, best.low));
    const nobody = await pointed(new ccxt.bitmart(keys({ apiKey: "nobody" })));
    await raises(ccxt.AuthenticationError, () => nobody.fetchBalance());
});
await table.case("cancel all", async () => {
    await limit(0.01, best.low);
    await limit(0.01, best.low);
    await ex.cancelAllOrders(SYMBOL);
    check((await open()).length === 0, "still open");
});
await table.case("no permission for withdrawals and margin", async () => {
    await raises(ccxt.PermissionDenied, () => ex.fetchDepositAddress("BTC"));
});
for (const name of ["leverage", "positions", "reduce-only", "funding"]) {
    table.none(name, "spot has no margin account");
}

const pro = await pointed(new ccxt.pro.bitmart(keys()));
await pro.loadMarkets();
await table.watch("watch ticker", () => pro.watchTicker(SYMBOL), (seen) => seen.bid < seen.ask && seen.last);
await table.watch("watch bids and asks", () => pro.watchBidsAsks([SYMBOL]), (seen) => seen[SYMBOL].bid < seen[SYMBOL].ask);
await table.watch("watch candles", () => pro.watchOHLCV(SYMBOL, "1m"), (seen) => seen.at(-1)[5] >= 0);
await table.watch("watch trades", () => pro.watchTrades(SYMBOL), (seen) => seen.at(-1).price > 0 && seen.at(-1).side);
await table.watch("watch order book", () => pro.watchOrderBook(SYMBOL), async (book) => {
    const rest = await ex.fetchOrderBook(SYMBOL, 50);
    return book.bids[0][0] < book.asks[0][0] && Math.abs(book.bids[0][0] / rest.bids[0][0] - 1) < 0.001;
});
await table.case("watch orders and balance", async () => {
    const orders = pro.watchOrders(SYMBOL);
    const balances = pro.watchBalance();
    await pause(1);
    const { id } = await pro.createOrder(SYMBOL, "limit", "buy", 0.01, best.low);
    const born = (await within(orders, 10)).at(-1);
    check(born.id === id && born.status === "open", born);
    let balance = await within(balances, 10);
    // The first one is what there was before.
    for (let more = 0; more < 3 && !balance.USDT.used; more++) {
        balance = await within(pro.watchBalance(), 10);
    }
    check(balance.USDT.used > 0, "nothing is held");
    const next = pro.watchOrders(SYMBOL);
    await pause(0.2);
    await pro.cancelOrder(id, SYMBOL);
    check((await within(next, 10)).at(-1).status === "canceled", "not cancelled");
});
table.none("watch my trades", "ccxt has none for BitMart, and the venue sends fills with its orders");
await pro.close();
table.end();
