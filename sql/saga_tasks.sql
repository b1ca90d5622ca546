-- Goal: the tasks of sagas and payments are brought back by those who hear their answers, not by oms.replay_tasks.
-- Method: dead tasks of a step, of an undo, of a payment and of nobody side by side; replayed by id and by filter.
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
