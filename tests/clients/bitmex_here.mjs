// ccxt's BitMEX in JavaScript, pointed at a gateway: what its suites begin with.

import { Table, library, patient, served } from "./table.mjs";

export const ccxt = library("ccxt");
const { mount, key } = served("/bitmex");

export async function pointed(exchange) {
    exchange.urls.api = { public: mount.rest, private: mount.rest, ws: `${mount.websocket}/realtime` };
    // Plain ws:// addresses are not supported before this.
    await exchange.loadHttpProxyAgent();
    return patient(exchange, [ccxt.DDoSProtection, ccxt.RateLimitExceeded]);
}

export const keys = (other) => ({ apiKey: key.key, secret: key.secret, ...other });
export const table = new Table(`ccxt.js ${ccxt.version} bitmex`);
export const ex = await pointed(new ccxt.bitmex(keys()));
