-- The queue that people write themselves: one table, a partial index, FOR UPDATE SKIP LOCKED; two statements for each task or batch. No lease epoch,
-- no retries, no log: less than it would have to do.
DROP SCHEMA IF EXISTS rival_task CASCADE;
CREATE SCHEMA rival_task;
CREATE TABLE rival_task.task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue text NOT NULL, priority int NOT NULL DEFAULT 0, status text NOT NULL DEFAULT 'ready',
    payload jsonb NOT NULL, attempt int NOT NULL DEFAULT 0, locked_until timestamptz, result jsonb, created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX ON rival_task.task (queue, priority, id) WHERE status = 'ready';

CREATE OR REPLACE FUNCTION rival_task.payload() RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('order_id', gen_random_uuid(), 'note', repeat('x', 180)) $$;

CREATE OR REPLACE PROCEDURE rival_task.fill_own(n bigint) LANGUAGE sql AS $$
    INSERT INTO rival_task.task (queue, payload) SELECT 'q', rival_task.payload() FROM generate_series(1, n);
$$;
-- The rows that oms.create_task writes.
CREATE OR REPLACE PROCEDURE rival_task.fill_oms(n bigint) LANGUAGE sql AS $$
    INSERT INTO oms.task (task_id, queue, priority, position, status, kind, payload, run_at, attempt, lease_epoch, created_at, updated_at)
    SELECT id, 'q', 0, id, 'ready', 'work', rival_task.payload(), now(), 0, 0, now(), now()
    FROM (SELECT nextval('oms.task_id_seq') AS id FROM generate_series(1, n)) s ORDER BY id;
$$;

-- Claims and completes n tasks, one by one.
CREATE FUNCTION rival_task.pairs(n integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        PERFORM oms.complete_task(c.task_id, c.lease_epoch) FROM oms.claim_tasks('q') c;
    END LOOP;
    RETURN n;
END $$;
