// pg-boss: a queue for each kind of call. Workers get batches, and handle one in the transaction that also completes it; a full batch is followed by the next
// fetch at once. Jobs are sent in the transaction that makes them necessary.
const { PgBoss } = require("pg-boss");
const shop = require("./shop.js");

const batch = 100;
const working = 2; // workers of each queue and process

const start = async (settings) => {
    const boss = new PgBoss({ host: process.env.PGHOST, ...settings });
    boss.on("error", (problem) => {
        throw problem;
    });
    await boss.start();
    return boss;
};

exports.prepare = async () => {
    const boss = await start({});
    for (const queue of ["authorize", "capture"]) await boss.createQueue(queue);
    await boss.stop();
};

exports.open = async ({ pool, confirmed }) => {
    const on = (client) => ({ executeSql: (text, values) => client.query(text, values) });
    const boss = await start({ max: 2 * working + 2, supervise: false, schedule: false });
    const options = { batchSize: batch, localConcurrency: working, transactional: true, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
    await boss.work("authorize", options, async (jobs, db) => {
        const ids = jobs.map((job) => job.data.order_id);
        await db.executeSql("SELECT shop.authorized($1, $2)", [ids, ids.map(shop.provider_ref)]);
        await boss.insert("capture", ids.map((order_id) => ({ data: { order_id } })), { db });
    });
    await boss.work("capture", options, async (jobs, db) => {
        await db.executeSql("SELECT shop.captured($1)", [jobs.map((job) => job.data.order_id)]);
        // pg-boss commits when this function has returned; the counts at the end see it.
        confirmed(jobs.length);
    });
    return {
        place: async ({ key, customer, currency, items }) => {
            const client = await pool.connect();
            try {
                await client.query("BEGIN");
                const { rows } = await client.query({
                    name: "place",
                    text: "SELECT shop.checkout($1, $2, $3::jsonb, $4) AS order_id",
                    values: [customer, currency, items, key],
                });
                await boss.send("authorize", { order_id: rows[0].order_id }, { db: on(client) });
                await client.query("COMMIT");
            } finally {
                client.release();
            }
        },
        close: () => boss.stop({ graceful: true, timeout: 10000 }).then(() => 0),
    };
};
