// oms: oms.create_order and oms.pay_order in one statement and so in one transaction; what the saga order_fulfilment asks of participants is claimed and answered
// in batches.
const batch = 100;
const working = 2; // sessions of each process that claim
const pause_ms = 50; // behind a batch that is not full, as the rivals have it

const deadlock = "40P01";
let deadlocks = 0;

// What PostgreSQL has ended to break a deadlock did nothing: it is asked for again.
const again = async (ask) => {
    for (;;) {
        try {
            return await ask();
        } catch (problem) {
            if (problem.code !== deadlock) throw problem;
            deadlocks++;
        }
    }
};

exports.open = async ({ pool, confirmed }) => {
    let going = true;
    const pause = () => new Promise((resolve) => setTimeout(resolve, pause_ms));
    const work = async () => {
        const client = await pool.connect();
        while (going) {
            const { rows } = await client.query({
                name: "claim",
                text: "SELECT task_id, lease_epoch, kind, provider_key FROM oms.claim_tasks('payments', $1)",
                values: [batch],
            });
            if (rows.length === 0) {
                await pause();
                continue;
            }
            const results = JSON.stringify(rows.map((task) => ({ provider_ref: `ch_${task.provider_key}` })));
            const answers = await again(() =>
                client.query({
                    name: "complete",
                    text: "SELECT outcome FROM oms.complete_tasks($1, $2, $3)",
                    values: [rows.map((task) => task.task_id), rows.map((task) => task.lease_epoch), results],
                }),
            );
            if (answers.rows.some(({ outcome }) => outcome !== "done")) throw new Error("a task was lost");
            const captures = rows.filter((task) => task.kind === "payment.capture").length;
            if (captures > 0) confirmed(captures);
            if (rows.length < batch) await pause();
        }
        client.release();
    };
    const workers = Array.from({ length: working }, work);
    return {
        place: ({ key, customer, currency, items }) =>
            again(() =>
                pool.query({
                    name: "place",
                    text: `SELECT (oms.pay_order(o.order_id, $4 || '/pay')).status FROM oms.create_order($1, $2, $3::jsonb, $4) o`,
                    values: [customer, currency, items, key],
                }),
            ),
        close: async () => {
            going = false;
            await Promise.all(workers);
            return deadlocks;
        },
    };
};
