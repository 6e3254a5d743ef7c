// A table of client × case: each row passes, or says what the venue has none of and why. Anything else fails.
// Scripts are run as `node SCRIPT TABLE.json FOLDER`: the served mounts, and where the client is installed.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

// A library of the client's folder.
export const library = (name) => createRequire(resolve(process.argv[3], "package.json"))(name);

// A mount of the table that the program wrote, and its first key.
export function served(mount) {
    const { mounts } = JSON.parse(readFileSync(process.argv[2], "utf8"));
    const found = mounts.find((one) => one.mount === mount);
    return { mount: found, key: found.keys[0] };
}

// A ccxt client that waits where the venue's rate limit is reached, and asks again: what was refused did not happen.
export function patient(exchange, refused) {
    const ask = exchange.fetch2.bind(exchange);
    exchange.fetch2 = async (...args) => {
        for (;;) {
            try {
                return await ask(...args);
            } catch (error) {
                if (!refused.some((kind) => error instanceof kind)) throw error;
                await pause(2);
            }
        }
    };
    return exchange;
}

export class Table {
    constructor(client) {
        this.client = client;
        this.rows = [];
    }

    // Runs a function as a case.
    async case(name, run) {
        try {
            this.rows.push([name, "pass", (await run()) ?? ""]);
        } catch (error) {
            console.error(error);
            this.rows.push([name, "FAIL", `${error.constructor.name}: ${error.message}`]);
        }
    }

    // A case of a stream: what `watch` waits for is `good` sooner or later.
    async watch(name, watch, good, patience = 75) {
        await this.case(name, async () => {
            let seen;
            for (let turn = 0; turn < 20; turn++) {
                seen = await within(watch(), patience);
                if (await good(seen)) return;
            }
            throw new Error(`never as it should be: ${JSON.stringify(seen)}`);
        });
    }

    // The venue has none of it.
    none(name, why) {
        this.rows.push([name, "the venue has none", why]);
    }

    // The client cannot do it with the real venue either.
    broken(name, why) {
        this.rows.push([name, "the client cannot", why]);
    }

    // Prints the rows; the exit code is 1 where one failed.
    end() {
        const width = Math.max(...this.rows.map(([name]) => name.length));
        for (const [name, result, note] of this.rows) {
            console.log(`${this.client}  ${name.padEnd(width)}  ${result}${note ? `: ${note}` : ""}`);
        }
        process.exit(this.rows.some(([, result]) => result === "FAIL") ? 1 : 0);
    }
}

export function check(condition, what) {
    if (!condition) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

// The class of error that a call must end with: this one and no other.
export async function raises(kind, call) {
    let result;
    try {
        result = await call();
    } catch (error) {
        check(error.constructor === kind, `${error.constructor.name} instead of ${kind.name}: ${error.message}`);
        return error;
    }
    throw new Error(`no ${kind.name}: ${JSON.stringify(result)}`);
}

export const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// What is promised, or an error after so many seconds.
export function within(promise, seconds) {
    let timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`nothing within ${seconds} s`)), seconds * 1000);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
