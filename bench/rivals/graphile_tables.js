// Makes graphile-worker's tables, and functions that hold the statements with which its worker fetches and completes jobs, word for word as the installed
// package sends them: so pgbench can be its client as it is everybody else's. The worker sends them as prepared statements, and PL/pgSQL prepares them too.
const { Logger, runMigrations } = require("graphile-worker");
const { Client } = require("pg");
const { pathToFileURL } = require("node:url");
const path = require("node:path");

const task = 1; // the number of the first kind of job
const logger = new Logger(() => () => {});

// What the package sends last: to a client that writes down instead of asking. It wants to know the kinds of jobs first.
async function statement(file, name, ...given) {
    const { [name]: ask } = await import(pathToFileURL(path.join(process.env.NODE_PATH, "graphile-worker/dist/sql", file)));
    const seen = [];
    const client = { query: async (query) => (seen.push(query.text), { rows: [{ id: task, identifier: "work" }] }) };
    const with_client = Object.assign((use) => use(client), { withRetries: (use) => use(client) });
    const options = {
        escapedWorkerSchema: '"graphile_worker"',
        workerSchema: "graphile_worker",
        resolvedPreset: { worker: { preparedStatements: true, useNodeTime: false } },
        logger,
    };
    await ask(options, with_client, ...given);
    return seen.at(-1);
}

async function main() {
    const client = new Client();
    await client.connect();
    const database = `postgresql://${process.env.PGUSER}@localhost:${process.env.PGPORT}/${process.env.PGDATABASE}?host=${encodeURIComponent(process.env.PGHOST)}`;
    await runMigrations({ connectionString: database, logger });
    const { rows } = await client.query("SELECT (graphile_worker.add_job('work')).task_id AS task");
    if (rows[0].task !== task) throw new Error(`the first kind of job has the number ${rows[0].task}`);
    await client.query("DELETE FROM graphile_worker._private_jobs");

    for (const batch of [1, 100]) {
        const jobs = Array.from({ length: batch }, (_, i) => ({ id: `${i}`, job_queue_id: null }));
        const fetch = await statement("getJobs.js", "batchGetJobs", { work: () => {} }, "pool", null, batch);
        const complete = await statement("completeJobs.js", "batchCompleteJobs", "pool", jobs);
        await client.query(
            `CREATE OR REPLACE FUNCTION rival_task.graphile_fetch_${batch}(text, int[]) RETURNS SETOF bigint LANGUAGE plpgsql AS
                 $function$ DECLARE job record; BEGIN FOR job IN ${fetch} LOOP RETURN NEXT job.id; END LOOP; END $function$`,
        );
        await client.query(
            `CREATE OR REPLACE FUNCTION rival_task.graphile_complete_${batch}(${batch === 1 ? "bigint" : "bigint[]"}) RETURNS void LANGUAGE plpgsql AS
                 $function$ BEGIN ${complete}; END $function$`,
        );
    }
    await client.query(
        `CREATE OR REPLACE PROCEDURE rival_task.fill_graphile(n bigint) LANGUAGE sql AS $procedure$
             SELECT count(job.id)
             FROM (SELECT array_agg(('work', rival_task.payload()::json, NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec) AS specs
                   FROM generate_series(1, n) i GROUP BY i / 1000) s, graphile_worker.add_jobs(s.specs) job
         $procedure$`,
    );
    await client.end();
}

main().catch((problem) => {
    console.error(problem);
    process.exit(1);
});
