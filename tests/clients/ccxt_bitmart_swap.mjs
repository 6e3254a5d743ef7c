// ccxt's BitMart contracts over a gateway, in JavaScript: the rows of ccxt_bitmart_swap.py.

import { ccxt, keys, pointed } from "./bitmart_here.mjs";
import { Table, check, pause, raises, within } from "./table.mjs";

const SYMBOL = "BTC/USDT:USDT";
const table = new Table(`ccxt.js ${ccxt.version} bitmart swap`);
const ex = await pointed(new ccxt.bitmart(keys()));
const best = {};
const round = (price) => Number(price.toFixed(1));
const limit = (amount, price, params) => ex.createOrder(SYMBOL, "limit", "buy", amount, price, params);
const market = (side, amount, params) => ex.createOrder(SYMBOL, "market", side, amount, undefined, params);
const open = async (params) => ex.fetchOpenOrders(SYMBOL, undefined, undefined, params);
const held = async () => (await ex.fetchPosition(SYMBOL)).contracts ?? 0;

await table.case("load markets", async () => {
    const one = (await ex.loadMarkets())[SYMBOL];
    check(one.precision.amount === 1 && one.precision.price === 0.1 && one.contractSize === 0.001, one);
    check(one.settle === "USDT" && one.linear && one.active && one.limits.leverage.max === 100, one);
});
await table.case("ticker", async () => {
    const ticker = await ex.fetchTicker(SYMBOL);
    check(ticker.last > 0 && ticker.high >= ticker.low && ticker.low > 0, ticker);
});
await table.case("order book", async () => {
    const book = await ex.fetchOrderBook(SYMBOL);
    [best.bid, best.ask, best.low] = [book.bids[0][0], book.asks[0][0], book.bids[15][0]];
    check(best.bid < best.ask && book.asks[0][1] >= 1, book);
});
table.broken("trades", "ccxt has no public trades of BitMart's contracts: fetchTrades takes spot symbols only");
await table.case("candles", async () => {
    const candles = await ex.fetchOHLCV(SYMBOL, "1m", Date.now() - 300_000, 4);
    check(candles.length >= 3 && candles[1][0] - candles[0][0] === 60_000, candles);
    check(candles.reduce((sum, candle) => sum + candle[5], 0) > 0, "nothing traded");
});
await table.case("candles of the mark price", async () => {
    const candles = await ex.fetchMarkOHLCV(SYMBOL, "1m");
    check(candles.length > 0 && Math.abs(candles.at(-1)[4] / best.bid - 1) < 0.01, candles);
});
await table.case("balance", async () => {
    const balance = await ex.fetchBalance({ type: "swap" });
    check(balance.USDT.free > 0 && balance.USDT.total > 0, balance);
});
table.broken("trading fee", "ccxt's fetchTradingFee takes spot symbols only; the fee of a fill is checked below");
await table.case("position mode", async () => {
    await ex.setPositionMode(true);
    check((await ex.fetchPositionMode()).hedged, "not hedged");
    await ex.setPositionMode(false);
    check(!(await ex.fetchPositionMode()).hedged, "hedged");
});
await table.case("leverage", async () => {
    const { data } = await ex.setLeverage(20, SYMBOL, { marginMode: "cross" });
    check(data.leverage === "20" && data.open_type === "cross", data);
    await raises(ccxt.InvalidOrder, () => ex.setLeverage(1_000, SYMBOL, { marginMode: "cross" }));
});
await table.case("limit rests", async () => {
    best.order = (await limit(2, best.low, { postOnly: true, clientOrderId: "js1" })).id;
    const order = await ex.fetchOrder(best.order, SYMBOL);
    check(order.status === "open" && order.filled === 0 && order.price === best.low && order.amount === 2, order);
    check((await open()).map((one) => one.id).join() === best.order, "not the only one");
});
await table.case("post-only that would match ends", async () => {
    const { id } = await limit(1, round(best.ask * 1.01), { postOnly: true });
    const order = await ex.fetchOrder(id, SYMBOL);
    check(order.status === "closed" && order.filled === 0, order);
});
await table.case("amend", async () => {
    await ex.editOrder(best.order, SYMBOL, "limit", "buy", 3, round(best.low - 1));
    const order = await ex.fetchOrder(best.order, SYMBOL);
    check(order.amount === 3 && order.price === round(best.low - 1) && order.status === "open", order);
});
await table.case("duplicate client id", async () => {
    await raises(ccxt.InvalidOrder, () => limit(1, best.low, { clientOrderId: "js1" }));
});
await table.case("cancel", async () => {
    await ex.cancelOrder(best.order, SYMBOL);
    check((await ex.fetchOrder(best.order, SYMBOL)).status === "closed" && (await open()).length === 0, "still open");
    await raises(ccxt.InvalidOrder, () => ex.cancelOrder(best.order, SYMBOL));
});
await table.case("market buy fills with the right fee", async () => {
    const { id } = await market("buy", 5);
    const order = await ex.fetchOrder(id, SYMBOL);
    check(order.status === "closed" && order.filled === 5 && order.average > 0, order);
    const trades = (await ex.fetchMyTrades(SYMBOL)).filter((trade) => trade.order === id);
    check(trades.reduce((sum, trade) => sum + trade.amount, 0) === 5, trades);
    for (const { info, takerOrMaker } of trades) {
        const value = Number(info.price) * Number(info.vol) * 0.001;
        check(Math.abs(Number(info.paid_fees) - value * 0.0006) <= 1e-8 && takerOrMaker === "taker", info);
    }
});
await table.case("positions", async () => {
    const position = await ex.fetchPosition(SYMBOL);
    check(position.side === "long" && position.contracts === 5 && position.leverage === 20, position);
    check(Math.abs(position.collateral - (position.entryPrice * 0.005) / 20) < 0.001, position);
    check((await ex.fetchPositions([SYMBOL])).filter((row) => row.contracts).length === 1, "not one");
    // Neither leverage nor mode changes now.
    await raises(ccxt.ExchangeError, () => ex.setLeverage(10, SYMBOL, { marginMode: "cross" }));
    await raises(ccxt.ExchangeError, () => ex.setPositionMode(true));
});
await table.case("open interest", async () => {
    check((await ex.fetchOpenInterest(SYMBOL)).openInterestAmount === 5, "not what is held");
});
await table.case("stop order", async () => {
    const trigger = round(best.bid * 0.9);
    const { id } = await market("sell", 2, { stopLossPrice: trigger });
    const plans = await open({ trigger: true });
    check(plans.length === 1 && plans[0].id === id && Number(plans[0].info.trigger_price) === trigger, plans);
    const lower = round(trigger - 10);
    await ex.editOrder(id, SYMBOL, "market", "sell", undefined, undefined, { stopLossPrice: lower });
    const changed = await open({ trigger: true });
    check(changed.length === 1 && changed[0].id === id && Number(changed[0].info.trigger_price) === lower, changed);
    await ex.cancelOrder(id, SYMBOL, { trigger: true });
    check((await open({ trigger: true })).length === 0, "still there");
});
await table.case("trailing order", async () => {
    const activation = round(best.bid * 0.8);
    const trail = { trailingPercent: "1.5", trailingTriggerPrice: activation };
    const { id } = await market("buy", 2, trail);
    const [row] = await open({ trailing: true });
    check(row.id === id && row.type === "trailing" && row.side === "buy" && row.amount === 2, row);
    check(Number(row.info.activation_price) === activation && row.info.callback_rate === "1.5", row);
    check((await open({ trigger: true })).length === 0, "it is no plan");
    await ex.cancelOrder(id, SYMBOL, { trailing: true });
    check((await open({ trailing: true })).length === 0, "still there");
    await raises(ccxt.BadRequest, () => market("buy", 2, { ...trail, trailingPercent: "6" }));
});
await table.case("trigger order fires", async () => {
    const before = await held();
    // The market goes one way or the other from here.
    const triggerPrice = round((await ex.fetchTicker(SYMBOL)).last);
    for (const price_way of [1, 2]) await market("buy", 1, { triggerPrice, price_way });
    for (let turn = 0; turn < 100 && (await held()) === before; turn++) await pause(0.4);
    for (const plan of await open({ trigger: true })) await ex.cancelOrder(plan.id, SYMBOL, { trigger: true });
    check((await held()) > before, "none of them");
});
await table.case("preset stop and profit", async () => {
    const [up, down] = [round(best.bid * 1.2), round(best.bid * 0.8)];
    const presets = { preset_take_profit_price: String(up), preset_stop_loss_price: String(down) };
    await market("buy", 1, presets);
    await pause(0.5);
    const prices = (await open({ trigger: true })).map((plan) => Number(plan.info.trigger_price));
    check(prices.length === 2 && prices.includes(up) && prices.includes(down), prices);
});
await table.case("reduce-only closes and opens nothing", async () => {
    await market("sell", (await held()) + 100, { reduceOnly: true });
    check((await held()) === 0, "something is left");
    await raises(ccxt.ExchangeError, () => market("sell", 1, { reduceOnly: true }));
    await pause(0.5);
    check((await open({ trigger: true })).length === 0, "plans are left");
});
await table.case("ledger", async () => {
    const rows = await ex.fetchLedger("USDT", undefined, undefined, { symbol: "BTCUSDT" });
    const kinds = rows.map((row) => String(row.info.flow_type));
    check(kinds.includes("2") && kinds.includes("4"), kinds);
    check((await ex.fetchFundingHistory(SYMBOL)).length === 0, "funding was never due");
});
await table.case("closed orders", async () => {
    const ended = await ex.fetchClosedOrders(SYMBOL);
    check(ended.length >= 5 && ended.every((order) => order.status === "closed"), ended);
});
await table.case("insufficient funds", async () => {
    await raises(ccxt.InsufficientFunds, () => limit(40_000, best.low));
    await raises(ccxt.InvalidOrder, () => limit(900_000, best.low));
});
await table.case("bad precision", async () => {
    await raises(ccxt.InvalidOrder, () => limit(0.4, best.low));
    const one = { symbol: "BTCUSDT", side: 1, type: "limit", size: 1, price: "60000.05" };
    await raises(ccxt.InvalidOrder, () => ex.privatePostContractPrivateSubmitOrder(one));
    const half = { ...one, size: "1.5", price: "60000" };
    await raises(ccxt.InvalidOrder, () => ex.privatePostContractPrivateSubmitOrder(half));
});
await table.case("unknown order", async () => {
    await raises(ccxt.OrderNotFound, () => ex.fetchOrder("3000000099999999", SYMBOL));
    await raises(ccxt.OrderNotFound, () => ex.cancelOrder("3000000099999999", SYMBOL));
});
await table.case("unknown symbol", async () => {
    const wrong = { symbol: "NOUSDT", side: 1, type: "limit", size: 1, price: "60000" };
    await raises(ccxt.BadSymbol, () => ex.privatePostContractPrivateSubmitOrder(wrong));
});
await table.case("bad signature", async () => {
    const other = await pointed(new ccxt.bitmart(keys({ secret: "wrong" })));
    await other.loadMarkets();
    await raises(ccxt.AuthenticationError, () => other.createOrder(SYMBOL, "limit", "buy", 1, best.low));
    const nobody = await pointed(new ccxt.bitmart(keys({ apiKey: "nobody" })));
    await raises(ccxt.AuthenticationError, () => nobody.fetchBalance({ type: "swap" }));
});
await table.case("cancel all", async () => {
    await limit(1, best.low);
    await limit(1, best.low);
    await ex.cancelAllOrders(SYMBOL);
    check((await open()).length === 0, "still open");
});
await table.case("funding rate", async () => {
    const rate = await ex.fetchFundingRate(SYMBOL);
    check(rate.fundingRate !== undefined && rate.fundingTimestamp > Date.now(), rate);
    check(Array.isArray(await ex.fetchFundingRateHistory(SYMBOL)), "no list");
});
await table.case("no permission for transfers", async () => {
    await raises(ccxt.PermissionDenied, () => ex.transfer("USDT", 1, "spot", "swap"));
});

const pro = await pointed(new ccxt.pro.bitmart(keys()));
await pro.loadMarkets();
await table.watch("watch ticker", () => pro.watchTicker(SYMBOL), (seen) => seen.bid < seen.ask && seen.last);
await table.watch("watch bids and asks", () => pro.watchBidsAsks([SYMBOL]), (seen) => seen[SYMBOL]?.bid < seen[SYMBOL]?.ask);
await table.watch("watch trades", () => pro.watchTrades(SYMBOL), (seen) => seen.at(-1).amount >= 1 && seen.at(-1).side);
await table.watch("watch candles", () => pro.watchOHLCV(SYMBOL, "1m"), (seen) => seen.at(-1)[5] >= 0);
await table.watch("watch funding rate", () => pro.watchFundingRate(SYMBOL), (rate) => rate.nextFundingTimestamp > Date.now());
await table.watch("watch order book", () => pro.watchOrderBook(SYMBOL), async (book) => {
    const rest = await ex.fetchOrderBook(SYMBOL);
    const near = Math.abs(book.bids[0][0] / rest.bids[0][0] - 1) < 0.001;
    return book.bids[0][0] < book.asks[0][0] && book.asks.length === 50 && near;
});
await table.case("watch orders and balance", async () => {
    const orders = pro.watchOrders(SYMBOL);
    const first = pro.watchBalance({ type: "swap" });
    await pause(1);
    const { id } = await pro.createOrder(SYMBOL, "limit", "buy", 1, best.low);
    const born = (await within(orders, 10)).at(-1);
    check(born.id === id && born.status === "open", born);
    let balance = await within(first, 10);
    // The first one may be what there was before.
    for (let turn = 0; turn < 3 && !balance.USDT.used; turn++) {
        balance = await within(pro.watchBalance({ type: "swap" }), 10);
    }
    check(balance.USDT.used > 0, balance);
    const next = pro.watchOrders(SYMBOL);
    await pause(0.2);
    await pro.cancelOrder(id, SYMBOL);
    check((await within(next, 10)).at(-1).status === "canceled", "not cancelled");
});
await table.case("watch positions", async () => {
    const positions = pro.watchPositions([SYMBOL]);
    await pause(1);
    await pro.createOrder(SYMBOL, "market", "buy", 2);
    const seen = (await within(positions, 10)).at(-1);
    check(seen.contracts === 2 && seen.side === "long", seen);
    await pro.createOrder(SYMBOL, "market", "sell", 2, undefined, { reduceOnly: true });
});
table.none("watch my trades", "ccxt has none for BitMart, and the venue sends fills with its orders");
await pro.close();
table.end();
