// Places orders and does the participants' work until every order placed is confirmed; prints how many orders that were, the seconds they took, the
// processor seconds of the client, how often something was repeated after a deadlock, and how many orders there were before that for warming up. The same for all contenders: so many processes, each with so many orders on their way to being placed at a
// time, each with a pool of so many connections.
//
//   node client.js CONTENDER --seconds N [--processes N] [--placing N] [--connections N]
//   node client.js CONTENDER --prepare              makes the contender's tables
//
// The connection comes from the environment (PGHOST, PGDATABASE ...). A contender is a module that exports prepare(pool), where it has tables of its own, and
// open({pool, confirmed, connections}); what that answers has place(order) and close(), which may answer how often something was repeated. It calls confirmed(n) when n more orders are confirmed.
const { fork } = require("node:child_process");
const { parseArgs } = require("node:util");
const { Pool } = require("pg");

const skus = Number(process.env.BENCH_SKUS);
const patience_s = 180; // for what is left when no more orders are placed
const warm_orders = 200; // of each process: prepared statements, compiled code
const report_every_ms = 5;

const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        seconds: { type: "string" },
        processes: { type: "string", default: "2" },
        placing: { type: "string", default: "8" },
        connections: { type: "string", default: "12" },
        prepare: { type: "boolean", default: false },
        child: { type: "string" },
    },
});
const contender = positionals[0];

// Two items of different goods, each one of many: nobody is to be measured on the lock of one row.
function random_order(key) {
    const half = Math.floor(skus / 2);
    const first = 1 + Math.floor(Math.random() * half);
    const second = half + 1 + Math.floor(Math.random() * half);
    return {
        key,
        customer: `customer-${Math.floor(Math.random() * 1e7)}`,
        currency: "EUR",
        items: `[{"sku": "SKU-${first}", "qty": 2, "price_minor": 10000}, {"sku": "SKU-${second}", "qty": 1, "price_minor": 2500}]`,
    };
}

async function child() {
    const name = options.child;
    const connections = Number(options.connections);
    const pool = new Pool({ max: connections });
    pool.on("error", (problem) => {
        throw problem;
    });
    let unreported = 0;
    let timer = null;
    const confirmed = (count) => {
        unreported += count;
        timer ??= setTimeout(() => {
            timer = null;
            process.send({ confirmed: unreported });
            unreported = 0;
        }, report_every_ms);
    };
    const session = await require(`./${contender}.js`).open({ pool, confirmed, connections });
    let placed = 0;
    const place_while = (wanted) =>
        Promise.all(
            Array.from({ length: Number(options.placing) }, async () => {
                while (wanted()) await session.place(random_order(`${name}-${placed++}`));
            }),
        );
    let used = process.cpuUsage();
    process.on("message", async (message) => {
        if (message === "warm") {
            await place_while(() => placed < warm_orders);
            process.send({ placed });
        } else if (message === "go") {
            used = process.cpuUsage();
            const before = placed;
            const end = performance.now() + 1000 * Number(options.seconds);
            await place_while(() => performance.now() < end);
            process.send({ placed: placed - before });
        } else {
            const { user, system } = process.cpuUsage(used);
            const repeated = (await session.close()) ?? 0;
            process.send({ processor: (user + system) / 1e6, repeated });
            await pool.end();
            process.disconnect();
        }
    });
    process.send({ ready: true });
}

async function parent() {
    const children = Array.from({ length: Number(options.processes) }, (_, i) => fork(__filename, [...process.argv.slice(2), "--child", `${i}`]));
    let fail;
    const failed = new Promise((_, reject) => (fail = reject));
    let listen = () => {};
    for (const each of children) {
        each.on("message", (message) => listen(message));
        each.on("exit", (code, signal) => code === 0 || fail(new Error(`a client process ended with ${code ?? signal}`)));
    }
    const phase = (say, deadline_s, finished) => {
        const sum = { ready: 0, placed: 0, confirmed: 0, processor: 0, repeated: 0, answers: 0 };
        return Promise.race([
            failed,
            new Promise((resolve, reject) => {
                const timer = setTimeout(() => reject(new Error(`not done in time: ${JSON.stringify(sum)}`)), 1000 * deadline_s);
                listen = (message) => {
                    for (const [what, count] of Object.entries(message)) sum[what] += Number(count);
                    if (!("confirmed" in message)) sum.answers++;
                    if (sum.answers === children.length && finished(sum)) {
                        clearTimeout(timer);
                        resolve(sum);
                    }
                };
                if (say) for (const each of children) each.send(say);
            }),
        ]);
    };
    const all_confirmed = (sum) => sum.confirmed === sum.placed;
    await phase(null, patience_s, () => true);
    const warmed = await phase("warm", patience_s, all_confirmed);
    const began = performance.now();
    const { placed } = await phase("go", Number(options.seconds) + patience_s, all_confirmed);
    const seconds = (performance.now() - began) / 1000;
    const { processor, repeated } = await phase("end", patience_s, () => true);
    console.log(placed, seconds.toFixed(3), processor.toFixed(3), repeated, warmed.placed);
}

async function prepare() {
    const pool = new Pool();
    await require(`./${contender}.js`).prepare(pool);
    await pool.end();
}

(options.prepare ? prepare() : options.child === undefined ? parent() : child()).catch((problem) => {
    console.error(problem);
    process.exit(1);
});
