// graphile-worker: a job for each call of a participant. A job is added in the transaction that makes it necessary, by the SQL function that the package has for
// that; jobs are fetched and completed in batches, as its page on performance says, with prepared statements.
const { Logger, run, runMigrations } = require("graphile-worker");
const shop = require("./shop.js");

const add = (task, from) => `SELECT graphile_worker.add_job('${task}', json_build_object('order_id', order_id)) FROM ${from} AS order_id`;

const logger = new Logger(() => () => {});

exports.prepare = () => runMigrations({ connectionString: shop.database, logger });

exports.open = async ({ pool, confirmed, connections }) => {
    const runner = await run({
        preset: {
            worker: {
                connectionString: shop.database,
                concurrentJobs: 10,
                maxPoolSize: connections,
                localQueue: { size: 100, refetchDelay: { durationMs: 100, threshold: 50 } },
                completeJobBatchDelay: 50,
                failJobBatchDelay: 50,
                pollInterval: 500,
                preparedStatements: true,
                logger,
            },
        },
        noHandleSignals: true,
        taskList: {
            authorize: ({ order_id }) =>
                pool.query({ name: "authorize", text: add("capture", "shop.authorized($1, $2)"), values: [[order_id], [shop.provider_ref(order_id)]] }),
            capture: async ({ order_id }) => {
                await shop.capture(pool, order_id);
                confirmed(1);
            },
        },
    });
    return {
        place: ({ key, customer, currency, items }) =>
            pool.query({ name: "place", text: add("authorize", "shop.checkout($1, $2, $3::jsonb, $4)"), values: [customer, currency, items, key] }),
        close: () => runner.stop(),
    };
};
