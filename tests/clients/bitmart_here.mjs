// Where BitMart is served here, and how ccxt is pointed at it.

import { library, served } from "./table.mjs";

export const ccxt = library("ccxt");
export const { mount, key } = served("/bitmart");
export const keys = (other) => ({ apiKey: key.key, secret: key.secret, uid: key.passphrase, ...other });

export async function pointed(exchange) {
    const { rest, websocket } = mount;
    const sockets = { public: `${websocket}/api?protocol=1.1`, private: `${websocket}/user?protocol=1.1` };
    exchange.urls.api = { spot: rest, swap: rest, ws: { spot: sockets, swap: sockets } };
    // Plain ws:// addresses are not supported before this.
    await exchange.loadHttpProxyAgent();
    return exchange;
}
