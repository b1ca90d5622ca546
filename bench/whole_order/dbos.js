// DBOS: a workflow for each order, under the order's key, with a step for each thing that is done. It runs in the process that places the order, which is how
// DBOS is fastest: no queue is asked. Who placed an order comes back when it is confirmed.
const { DBOS } = require("@dbos-inc/dbos-sdk");
const shop = require("./shop.js");

const configure = (connections) =>
    DBOS.setConfig({
        name: "shop",
        systemDatabaseUrl: shop.database,
        systemDatabasePoolSize: connections,
        executorID: `executor-${process.pid}`,
        logLevel: "error",
    });

exports.prepare = async () => {
    configure(2);
    await DBOS.launch();
    await DBOS.shutdown();
};

exports.open = async ({ pool, confirmed, connections }) => {
    configure(connections);
    const order = DBOS.registerWorkflow(
        async ({ key, customer, currency, items }) => {
            const order_id = await DBOS.runStep(
                async () => {
                    const { rows } = await pool.query({
                        name: "place",
                        text: "SELECT shop.checkout($1, $2, $3::jsonb, $4) AS order_id",
                        values: [customer, currency, items, key],
                    });
                    return rows[0].order_id;
                },
                { name: "checkout" },
            );
            await DBOS.runStep(
                async () => {
                    await shop.authorize(pool, order_id);
                    return shop.provider_ref(order_id);
                },
                { name: "authorize" },
            );
            await DBOS.runStep(() => shop.capture(pool, order_id).then(() => true), { name: "capture" });
        },
        { name: "order" },
    );
    await DBOS.launch();
    return {
        place: async (wanted) => {
            const handle = await DBOS.startWorkflow(order, { workflowID: wanted.key })(wanted);
            await handle.getResult();
            confirmed(1);
        },
        close: () => DBOS.shutdown(),
    };
};
