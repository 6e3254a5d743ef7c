// ccxt's BitMEX (spot) over a gateway, in JavaScript: the rows of ccxt_bitmex.py.

import { ccxt, ex, keys, pointed, table } from "./bitmex_here.mjs";
import { check, pause, raises, within } from "./table.mjs";

const SYMBOL = "BTC/USDT";
const best = {};
const postOnly = { execInst: "ParticipateDoNotInitiate" };

await table.case("load markets", async () => {
    const market = (await ex.loadMarkets())[SYMBOL];
    check(market.spot && market.active, market);
    check(market.precision.amount === 1000 && market.precision.price === 0.5, market.precision);
});
await table.case("ticker", async () => {
    const ticker = await ex.fetchTicker(SYMBOL);
    check(ticker.bid < ticker.ask && ticker.last, ticker);
});
await table.case("order book", async () => {
    const book = await ex.fetchOrderBook(SYMBOL, 20);
    // A hundredth lower the market does not come soon.
    [best.bid, best.ask] = [book.bids[0][0], book.asks[0][0]];
    best.low = Math.round(best.bid * 0.99 * 2) / 2;
    check(best.bid < best.ask && book.bids[0][1] > 0, book);
});
await table.case("trades", async () => {
    const trades = await ex.fetchTrades(SYMBOL, undefined, 20);
    const times = trades.map((trade) => trade.timestamp);
    check(trades.length === 20 && times.every((time, at) => at === 0 || times[at - 1] <= time), trades);
});
await table.case("candles", async () => {
    const candles = await ex.fetchOHLCV(SYMBOL, "1m", undefined, 3);
    check(candles.length === 3 && candles[1][0] - candles[0][0] === 60_000, candles);
});
await table.case("balance", async () => {
    const balance = await ex.fetchBalance();
    check(balance.BTC.free > 0 && balance.USDT.total > 0, balance);
});
await table.case("post-only rests", async () => {
    best.order = (await ex.createOrder(SYMBOL, "limit", "buy", 0.01, best.low, postOnly)).id;
    const order = await ex.fetchOrder(best.order, SYMBOL);
    check(order.status === "open" && order.filled === 0 && order.price === best.low && order.amount === 0.01, order);
});
await table.case("post-only that would match ends", async () => {
    const order = await ex.createOrder(SYMBOL, "limit", "buy", 0.01, best.ask + 500, postOnly);
    check(order.status === "canceled" && order.filled === 0, order);
});
await table.case("open orders", async () => {
    const ids = (await ex.fetchOpenOrders(SYMBOL)).map((order) => order.id);
    check(ids.length === 1 && ids[0] === best.order, ids);
});
await table.case("amend", async () => {
    const order = await ex.editOrder(best.order, SYMBOL, "limit", "buy", 0.02, best.low - 1);
    check(order.price === best.low - 1 && order.amount === 0.02, order);
});
await table.case("client order id", async () => {
    const wish = { clientOrderId: "case/js" };
    const order = await ex.createOrder(SYMBOL, "limit", "buy", 0.01, best.low, wish);
    check(order.clientOrderId === "case/js", order);
    await raises(ccxt.InvalidOrder, () => ex.createOrder(SYMBOL, "limit", "buy", 0.01, best.low, wish));
    await ex.cancelOrder(order.id, SYMBOL);
});
await table.case("cancel", async () => {
    check((await ex.cancelOrder(best.order, SYMBOL)).status === "canceled", "not cancelled");
    check((await ex.fetchOpenOrders(SYMBOL)).length === 0, "still open");
    await raises(ccxt.OrderNotFound, () => ex.cancelOrder(best.order, SYMBOL));
});
await table.case("market order fills with the right fee", async () => {
    const order = await ex.createOrder(SYMBOL, "market", "sell", 0.01);
    check(order.status === "closed" && order.filled === 0.01, order);
    const trades = (await ex.fetchMyTrades(SYMBOL)).filter((trade) => trade.order === order.id);
    const sum = (name) => trades.reduce((all, trade) => all + Math.abs(Number(trade.info[name])), 0);
    check(trades.length && Math.abs(sum("execComm") - sum("execCost") * 0.0005) <= trades.length, trades);
    check(trades.every((trade) => trade.takerOrMaker === "taker"), trades);
});
await table.case("insufficient funds", () =>
    raises(ccxt.InsufficientFunds, () => ex.createOrder(SYMBOL, "limit", "buy", 100, best.low)).then(() => ""));
await table.case("bad precision", async () => {
    const wish = { symbol: "XBT_USDT", side: "Buy", orderQty: 1_000_000, price: 50_000.3, ordType: "Limit" };
    await raises(ccxt.BadRequest, () => ex.privatePostOrder(wish));
    await raises(ccxt.BadRequest, () => ex.privatePostOrder({ ...wish, orderQty: 1_500, price: 50_000 }));
});
await table.case("unknown order", async () => {
    const nobody = "00000000-0000-4000-8000-0000000fffff";
    await raises(ccxt.OrderNotFound, () => ex.fetchOrder(nobody, SYMBOL));
    await raises(ccxt.ExchangeError, () => ex.privateDeleteOrder({ orderID: nobody }));
});
await table.case("bad signature", async () => {
    for (const other of [{ secret: "wrong" }, { apiKey: "nobody" }]) {
        const stranger = await pointed(new ccxt.bitmex(keys(other)));
        await raises(ccxt.AuthenticationError, () => stranger.fetchBalance());
    }
});
await table.case("cancel all", async () => {
    for (let at = 0; at < 2; at++) await ex.createOrder(SYMBOL, "limit", "buy", 0.01, best.low);
    await ex.cancelAllOrders(SYMBOL);
    check((await ex.fetchOpenOrders(SYMBOL)).length === 0, "still open");
});
await table.case("cancel all after", async () => {
    check("cancelTime" in (await ex.cancelAllOrdersAfter(60_000)), "no time");
    await ex.cancelAllOrdersAfter(0);
});
await table.case("spot has no position", async () => {
    check((await ex.fetchPositions()).every((one) => one.symbol !== SYMBOL), "there is one");
});
for (const name of ["leverage", "reduce-only", "funding"]) {
    table.none(name, "spot has no margin; the contracts of the same account have a table of their own");
}

const pro = await pointed(new ccxt.pro.bitmex(keys()));
await pro.loadMarkets();
await table.watch("watch ticker", () => pro.watchTicker(SYMBOL), (t) => t.bid < t.ask && t.last);
await table.watch("watch trades", () => pro.watchTrades(SYMBOL), (t) => t.at(-1).price > 0);
await table.watch("watch order book", () => pro.watchOrderBook(SYMBOL), async (book) => {
    const rest = await ex.fetchOrderBook(SYMBOL, 25);
    const near = Math.abs(book.bids[0][0] - rest.bids[0][0]) / rest.bids[0][0];
    return book.bids[0][0] < book.asks[0][0] && near < 0.001;
});
await table.watch("watch candles", () => pro.watchOHLCV(SYMBOL, "1m"), (c) => c.at(-1)[5] > 0);
await table.case("watch orders, balance and my trades", async () => {
    let orders = pro.watchOrders(SYMBOL);
    const balances = pro.watchBalance();
    await pause(1);
    let order = await pro.createOrder(SYMBOL, "limit", "buy", 0.01, best.low);
    let seen = (await within(orders, 10)).at(-1);
    check(seen.id === order.id && seen.status === "open", seen);
    await within(balances, 10);
    orders = pro.watchOrders(SYMBOL);
    await pause(0.2);
    await pro.cancelOrder(order.id, SYMBOL);
    seen = (await within(orders, 10)).at(-1);
    check(seen.status === "canceled", seen);
    const trades = pro.watchMyTrades(SYMBOL);
    await pause(0.5);
    order = await pro.createOrder(SYMBOL, "market", "sell", 0.01);
    seen = (await within(trades, 10)).at(-1);
    check(seen.order === order.id, seen);
});
await pro.close();
table.end();
