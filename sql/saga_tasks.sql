-- Goal: the tasks of sagas and payments are brought back by those who hear their answers, not by oms.replay_tasks; a saga that cannot go on when its
-- time comes is tried later and later, is reported, and costs no other saga its turn.
-- Method: dead tasks of a step, of an undo, of a payment and of nobody side by side, replayed by id and by filter; sagas that are due together, of
-- which one fails in every way in which going on can fail.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SELECT oms.define_saga('tasks', '{"steps": [
    {"name": "a", "kind": "task", "queue": "care", "task": "do.a", "compensation": {"queue": "care", "task": "undo.a"}},
    {"name": "b", "kind": "task", "queue": "care", "task": "do.b", "compensation": null}]}');
SELECT saga_id AS id FROM oms.start_saga('tasks', '{}', test.key(), 'basket-1') \gset
SELECT oms.complete_task(task_id, lease_epoch) FROM oms.claim_tasks('care');
SELECT oms.fail_task(task_id, lease_epoch, 'never', false), task_id AS of_step FROM oms.claim_tasks('care') \gset
SELECT oms.fail_task(task_id, lease_epoch, 'never', false), task_id AS of_undo FROM oms.claim_tasks('care') \gset
SELECT status FROM oms.saga WHERE saga_id = :id;
SELECT oms.create_task('care', 'mine', '{}', test.key()) AS mine \gset
SELECT oms.fail_task(task_id, lease_epoch, 'never', false) FROM oms.claim_tasks('care');
-- A payment's operation without a saga, and a task that only looks like one.
SELECT order_id AS o FROM oms.create_order('c', 'USD', '[{"sku": "CARE-1", "qty": 1, "price_minor": 500}]', test.key()) \gset
SELECT payment_id AS p FROM oms.authorize_payment(:'o', idempotency_key => test.key()) \gset
SELECT task_id AS of_payment, oms.cancel_task(task_id, 'no money') FROM oms.task WHERE payload ->> 'payment_id' = :'p' \gset
SELECT oms.create_task('care', 'payment.own', '{}', test.key(), provider_key => 'mine') AS lookalike \gset
SELECT oms.fail_task(task_id, lease_epoch, 'never', false) FROM oms.claim_tasks('care');

-- By filter: those of sagas and payments are passed over, shown or not.
SELECT kind FROM oms.replay_tasks(filter => '{"queue": ["care", "payments"]}');
SELECT kind FROM oms.replay_tasks(filter => '{"queue": "care"}', dry_run => false, reason => 'again');
SELECT kind, status FROM oms.task WHERE queue = 'care' ORDER BY task_id;
-- By id: refused, with what works instead; the others of the call stay as they are.
SELECT oms.fail_task(task_id, lease_epoch, 'never', false) FROM oms.claim_tasks('care', 9);
SELECT state, regexp_replace(message, '\d+', 'N', 'g'), detail, regexp_replace(hint, '\d+', 'N', 'g') FROM test.outcome(format('SELECT oms.replay_tasks(ARRAY[%s, %s])', :mine, :of_step));
SELECT state, regexp_replace(message, '\d+', 'N', 'g'), detail, regexp_replace(hint, '\d+', 'N', 'g') FROM test.outcome(format('SELECT oms.replay_tasks(ARRAY[%s], dry_run => false, reason => ''x'')', :of_undo));
SELECT state, regexp_replace(message, '\d+', 'N', 'g'), detail, replace(hint, :'p', 'P') FROM test.outcome(format('SELECT oms.replay_tasks(ARRAY[%s], dry_run => false, reason => ''x'')', :of_payment));
SELECT test.fails(format('SELECT oms.replay_tasks(ARRAY[%s, %s], dry_run => false, reason => ''x'')', :mine, :of_undo), 'OM003', 'one of mine beside one of a saga');
SELECT test.equal((SELECT count(*) FROM oms.task WHERE queue = 'care' AND status <> 'dead'), 1::bigint, 'only what was completed is not dead');
SELECT kind FROM oms.replay_tasks(ARRAY[:mine, :lookalike], dry_run => false, reason => 'again');
-- What the hint says works.
SELECT status FROM oms.resume_saga(:id, 'again', test.key());
SELECT kind FROM oms.claim_tasks('care', 9) ORDER BY kind;

-- Due together: one whose rows cannot be written, one whose function asks for a serialization failure, and one that is well.
SET oms.now_override = '2026-05-01 10:00:00+00';
CREATE SCHEMA saga;
CREATE FUNCTION saga.conflict(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE serialization_failure USING MESSAGE = 'come again'; END $$;
CREATE FUNCTION saga.well(context jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
SELECT oms.define_saga(name, jsonb_build_object('steps', jsonb_build_array('{"name": "pause", "kind": "timer", "delay_ms": 1000}'::jsonb,
    jsonb_build_object('name', 'act', 'kind', 'sql', 'function', function, 'compensation', NULL)))) FROM (VALUES ('due.write', 'saga.well'), ('due.conflict', 'saga.conflict'), ('due.well', 'saga.well')) v(name, function);
SELECT status FROM unnest('{due.write,due.conflict,due.well}'::text[]) name, oms.start_saga(name, '{}', test.key());
CREATE FUNCTION saga.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON oms.saga FOR EACH ROW WHEN (new.definition = 'due.write') EXECUTE FUNCTION saga.refuse();
SET oms.now_override = '2026-05-01 10:00:02+00';
SELECT oms.run_due() > 0 AS done;
SELECT definition, status FROM oms.saga WHERE definition LIKE 'due.%' ORDER BY 1;
SELECT test.equal((SELECT count(*) FROM generate_series(1, 20) WHERE oms.run_due() > 0), 0::bigint, 'nothing is tried again at once');
SET oms.now_override = '2026-05-01 10:02:00+00';
SELECT oms.run_due() >= 0 AS looked;
SELECT definition, why, since, what_to_do ~ 'next attempt is at' AS told FROM oms.stuck WHERE definition LIKE 'due.%' ORDER BY 1;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'a timer that fails will fire again');
DROP TRIGGER refuse ON oms.saga;
CREATE OR REPLACE FUNCTION saga.conflict(context jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
SET oms.now_override = '2026-05-01 10:15:00+00';
SELECT oms.run_due() > 0 AS done;
SELECT definition, status FROM oms.saga WHERE definition LIKE 'due.%' ORDER BY 1;
SELECT test.nothing($$SELECT * FROM oms.stuck WHERE definition LIKE 'due.%'$$, 'nothing is stuck');

-- What was decided has to be committed, also behind the saga's deadline: waited for, not looked at again and again.
SELECT oms.define_saga('decided', '{"deadline_ms": 60000, "steps": [{"name": "t", "kind": "twophase", "compensation": null, "participants": [
    {"name": "x", "prepare": {"function": "saga.well"}, "commit": {"queue": "care", "task": "commit.x", "deadline_ms": 86400000}, "abort": {"function": "saga.well"}}]}]}');
SELECT saga_id AS id, status FROM oms.start_saga('decided', '{}', test.key()) \gset
SET oms.now_override = '2026-05-01 10:16:30+00';
SELECT oms.run_due() > 0 AS done;
SELECT status, regexp_replace(waits_for, '\d+', 'N'), wake_at FROM oms.saga WHERE saga_id = :id;
SELECT test.equal((SELECT count(*) FROM generate_series(1, 20) WHERE oms.run_due() > 0), 0::bigint, 'nothing is due while the answer is awaited');
SELECT oms.complete_task(task_id, lease_epoch) FROM oms.claim_tasks('care');
SELECT status FROM oms.saga WHERE saga_id = :id;
SET client_min_messages = warning;
DROP SCHEMA saga CASCADE;
