// absurd: a task for each order, spawned in the transaction that places it; the calls of participants are its steps, each with a checkpoint. Workers claim in batches.
const { Absurd } = require("absurd-sdk");
const shop = require("./shop.js");

exports.prepare = (pool) => new Absurd({ db: pool }).createQueue("orders");

exports.open = async ({ pool, confirmed }) => {
    const quiet = { log() {}, info() {}, warn: console.error, error: console.error };
    const app = new Absurd({ db: pool, queueName: "orders", log: quiet });
    app.registerTask({ name: "order" }, async ({ order_id }, task) => {
        await task.step("authorize", async () => {
            await shop.authorize(pool, order_id);
            return shop.provider_ref(order_id);
        });
        await task.step("capture", async () => {
            await shop.capture(pool, order_id);
            return true;
        });
        confirmed(1);
    });
    const worker = await app.startWorker({ concurrency: 20, batchSize: 20, pollInterval: 0.05 });
    return {
        place: ({ key, customer, currency, items }) =>
            pool.query({
                name: "place",
                text: `SELECT absurd.spawn_task('orders', 'order', jsonb_build_object('order_id', order_id), '{}')
                       FROM shop.checkout($1, $2, $3::jsonb, $4) AS order_id`,
                values: [customer, currency, items, key],
            }),
        close: () => worker.close(),
    };
};
