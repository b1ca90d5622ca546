-- Goal: a command that a busy order refuses can be queued instead: it is carried out once, in its turn, as the role that asked for it, when the order is
-- free; and what becomes of it can be read.
-- Method: orders that are being paid, a provider that answers by hand, a clock that is wound on; every command that can be queued; every end that one can have.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
CREATE SCHEMA qc;
SELECT on_hand FROM oms.set_stock('QC-1', 1000, 'qc-1');
SELECT oms.set_fulfilment_policy('{"queue": "qc-payments"}') ->> 'queue';
CREATE FUNCTION qc.answer(answer text DEFAULT 'yes') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    SELECT * INTO t FROM oms.claim_tasks('qc-payments', 1);
    IF t.task_id IS NULL THEN RETURN 'nothing to do'; END IF;
    IF answer = 'yes' THEN PERFORM oms.complete_task(t.task_id, t.lease_epoch, '{"provider_ref": "p"}');
    ELSE PERFORM oms.fail_task(t.task_id, t.lease_epoch, answer, false); END IF;
    RETURN t.kind;
END $$;
CREATE FUNCTION qc.answer_all() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    asked text[];
BEGIN
    LOOP
        asked := asked || qc.answer();
        IF asked[cardinality(asked)] = 'nothing to do' THEN RETURN asked[:cardinality(asked) - 1]; END IF;
    END LOOP;
END $$;
-- An order that is being paid.
CREATE FUNCTION qc.busy(policy jsonb DEFAULT NULL) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
BEGIN
    SELECT order_id INTO id FROM oms.create_order('c', 'EUR', '[{"sku": "QC-1", "qty": 2, "price_minor": 1250}]', test.key());
    PERFORM oms.pay_order(id, test.key(), policy);
    RETURN id;
END $$;
CREATE FUNCTION qc.queue(id uuid, command text, arguments jsonb DEFAULT '{}', after interval DEFAULT '1 day') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', command, status, error_code, answer ->> 'status') FROM oms.queue_command(id, command, arguments, test.key(), after) $$;
CREATE FUNCTION qc.state(id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, pending_action, (SELECT string_agg(concat_ws(' ', '/', command, c.status, error_code, attempts), ' ' ORDER BY command_id)
        FROM oms.queued_command c WHERE c.order_id = o.order_id)) FROM oms.orders o WHERE order_id = id $$;
CREATE FUNCTION qc.later(ahead interval) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('oms.now_override', (current_setting('oms.now_override')::timestamptz + ahead)::text, false);
    RETURN oms.run_due();
END $$;

-- The order is free: it is as if the command had been called.
SELECT test.make_order('confirmed') AS free \gset
SELECT command_id, command, status, answer ->> 'status' AS became, answer ? 'replayed' AS nested, replayed FROM oms.queue_command(:'free', 'ship_order', '{"payload": {"parcel": 1}}', 'qc-free');
SELECT status, answer ->> 'status' AS became, replayed FROM oms.queue_command(:'free', 'ship_order', '{"payload": {"parcel": 1}}', 'qc-free');
SELECT status, replayed FROM oms.ship_order(:'free', 'qc-free', payload => '{"parcel": 1}');
SELECT test.fails(format('SELECT oms.queue_command(%L, ''complete_order'', ''{}'', ''qc-free'')', :'free'), 'OM008', 'its key is used');
SELECT test.fails(format('SELECT oms.queue_command(%L, ''ship_order'', ''{}'', test.key())', :'free'), 'OM003', 'what it refuses is refused');
SELECT count(*) FROM oms.queued_command;

-- It is busy: the command waits. Asked again, it is the same one.
SELECT qc.busy() AS a \gset
SET oms.actor = 'anna';
SET oms.correlation_id = 'request-7';
SELECT command_id IS NOT NULL AS queued, command, status, asked_at, give_up_at, error_code, error, answer, replayed FROM oms.queue_command(:'a', 'ship_order', '{"payload": {"parcel": 2}}', 'qc-a');
RESET oms.actor;
RESET oms.correlation_id;
SELECT status, replayed FROM oms.queue_command(:'a', 'ship_order', '{"payload": {"parcel": 2}}', 'qc-a', '1 hour');
SELECT test.fails(format('SELECT oms.queue_command(%L, ''ship_order'', ''{}'', ''qc-a'')', :'a'), 'OM008', 'other arguments under its key');
SELECT test.fails(format('SELECT oms.queue_command(%L, ''ship_order'', ''{"payload": {"parcel": 2}}'', ''qc-a'')', :'free'), 'OM008', 'another order under its key');
SELECT test.fails(format('SELECT oms.ship_order(%L, ''qc-a'', payload => ''{"parcel": 2}'')', :'a'), 'OM005', 'the order is busy for a direct call');
SELECT jsonb_array_length(oms.get_order(:'a') -> 'queued') AS n, oms.get_order(:'a') #- '{queued,0,command_id}' -> 'queued' -> 0 AS first;
SELECT command, status, arguments, actor, asked_by = current_user AS mine FROM oms.list_queued_commands(jsonb_build_object('order_id', :'a', 'status', 'waiting', 'command', 'ship_order'));
SELECT oms.run_due(), qc.state(:'a');
SELECT qc.answer_all(), qc.state(:'a');
SELECT oms.run_due() >= 1, qc.state(:'a');
SELECT type, actor, reason, payload -> 'data' ->> 'command' AS command, payload -> 'data' -> 'parcel' AS parcel FROM oms.order_timeline(:'a') WHERE seq > 5 OR type ~ 'queued';
SELECT headers - 'schema_version' FROM oms.event WHERE aggregate_id = :'a' AND type = 'order.shipped';
SELECT status, answer ->> 'status' AS became, answer ->> 'version' = (SELECT version::text FROM oms.orders WHERE order_id = :'a') AS as_it_is, replayed
FROM oms.queue_command(:'a', 'ship_order', '{"payload": {"parcel": 2}}', 'qc-a');
SELECT status, replayed FROM oms.ship_order(:'a', 'qc-a', payload => '{"parcel": 2}');
SELECT jsonb_array_length(oms.get_order(:'a') -> 'queued'), (SELECT count(*) FROM oms.timer WHERE kind = 13);

-- The direct call comes first, when the order is free and the clock has not looked: it happens once.
SELECT qc.busy() AS b \gset
SELECT status FROM oms.queue_command(:'b', 'ship_order', '{}', 'qc-b');
SELECT qc.answer_all();
SELECT status, replayed FROM oms.ship_order(:'b', 'qc-b');
SELECT oms.run_due() >= 1, qc.state(:'b');
SELECT count(*) FROM oms.event WHERE aggregate_id = :'b' AND type = 'order.shipped';

-- While it waits its key is taken, for direct calls of whatever command on whatever order.
SELECT qc.busy() AS taken \gset
SELECT test.make_order('confirmed') AS other \gset
SELECT status FROM oms.queue_command(:'taken', 'ship_order', '{"payload": 1}', 'qc-taken');
SELECT state, message, detail, hint FROM test.outcome(format('SELECT oms.ship_order(%L, ''qc-taken'', payload => ''2'')', :'taken'));
SELECT state, message, detail, hint FROM test.outcome(format('SELECT oms.hold_order(%L, ''x'', ''qc-taken'')', :'taken'));
SELECT test.fails(format('SELECT oms.ship_order(%L, ''qc-taken'', payload => ''1'')', :'other'), 'OM008', 'the same command on another order');
SELECT test.fails($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'qc-taken')$$, 'OM008', 'another command');
SELECT test.fails($$SELECT oms.create_orders('[{"customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}], "idempotency_key": "qc-taken"}]')$$, 'OM008', 'one of a batch');
SELECT test.fails($$SELECT oms.create_task('qc-mail', 'k', '{}', 'qc-taken')$$, 'OM008', 'a task');
SELECT test.fails($$SELECT oms.append_events('qc', 's', NULL, '[{"type": "t", "payload": {}}]', 'qc-taken')$$, 'OM008', 'events');
SELECT test.fails(format('SELECT oms.ship_order(%L, ''qc-taken'', payload => ''1'')', :'taken'), 'OM005', 'the same request finds the order busy');
SELECT status, replayed FROM oms.queue_command(:'taken', 'ship_order', '{"payload": 1}', 'qc-taken');
SELECT qc.answer_all(), oms.run_due() >= 1, qc.state(:'taken');
SELECT status, replayed FROM oms.ship_order(:'taken', 'qc-taken', payload => '1');
SELECT test.fails(format('SELECT oms.ship_order(%L, ''qc-taken'', payload => ''2'')', :'taken'), 'OM008', 'and it stays taken when it is done');
SELECT status FROM oms.orders WHERE order_id = :'other';
-- A queue that is rolled back has taken nothing; one that was canceled stays what its key was used for.
SELECT qc.busy() AS back \gset
BEGIN;
SELECT status FROM oms.queue_command(:'back', 'ship_order', '{}', 'qc-back');
ROLLBACK;
SELECT on_hold FROM oms.hold_order(:'back', 'x', 'qc-back');
SELECT (oms.cancel_queued_command(command_id, 'no')).status FROM oms.queue_command(:'back', 'ship_order', '{}', 'qc-back-2');
SELECT test.fails(format('SELECT oms.release_hold(%L, ''qc-back-2'')', :'back'), 'OM008', 'a canceled one');
SELECT on_hold FROM oms.release_hold(:'back', test.key());
SELECT qc.answer_all(), oms.run_due(), qc.state(:'back');
SELECT status, replayed FROM oms.ship_order(:'back', 'qc-back-2');
-- Behind others in an order that is free: what is wrong with it is said at once, an answer that it has is given, and its key is taken.
SELECT qc.busy() AS behind \gset
SELECT qc.queue(:'behind', 'ship_order'), qc.answer_all();
SELECT test.fails(format('SELECT oms.queue_command(%L, ''cancel_order'', ''{}'', test.key())', :'behind'), 'OM001', 'no reason');
SELECT on_hold FROM oms.hold_order(:'behind', 'x', 'qc-behind-1');
SELECT test.fails(format('SELECT oms.queue_command(%L, ''complete_order'', ''{}'', ''qc-behind-1'')', :'behind'), 'OM008', 'a key that is used');
SELECT on_hold FROM oms.release_hold(:'behind', test.key());
SELECT status FROM oms.refund_order(:'behind', 5, 'r', 'qc-behind-2');
SELECT status, answer ->> 'status' AS became, replayed FROM oms.queue_command(:'behind', 'refund_order', '{"amount_minor": 5, "reason": "r"}', 'qc-behind-2');
SELECT status FROM oms.queue_command(:'behind', 'complete_order', '{}', 'qc-behind-3');
SELECT test.fails(format('SELECT oms.hold_order(%L, ''x'', ''qc-behind-3'')', :'behind'), 'OM008', 'the key of one behind others');
SELECT qc.answer_all(), oms.run_due() >= 1, qc.state(:'behind');
SELECT status, replayed FROM oms.complete_order(:'behind', 'qc-behind-3');
-- As long as keys are remembered.
SELECT qc.busy('{"verify_above_minor": 0}') AS ttl \gset
SELECT command_id AS id FROM oms.queue_command(:'ttl', 'ship_order', '{}', 'qc-ttl') \gset
SET oms.idempotency_ttl = '1min';
SELECT qc.later('59 seconds') >= 0;
SELECT test.fails(format('SELECT oms.hold_order(%L, ''x'', ''qc-ttl'')', :'ttl'), 'OM008', 'not yet forgotten');
SELECT qc.later('1 second') >= 0;
SELECT on_hold FROM oms.hold_order(:'ttl', 'x', 'qc-ttl');
RESET oms.idempotency_ttl;
SELECT status FROM oms.cancel_queued_command(:id, 'enough');
SELECT status, pending_action FROM oms.cancel_order(:'ttl', 'enough', test.key());

-- In the order in which they were asked for; what fails is refused and harms nothing, and one that makes the order busy again lets the others wait.
SELECT qc.busy() AS c \gset
SELECT qc.queue(:'c', 'complete_order'), qc.queue(:'c', 'amend_order', '{"items": [{"sku": "QC-1", "qty": 1, "price_minor": 1}]}'), qc.queue(:'c', 'refund_order', '{"amount_minor": 100, "reason": "late"}'),
    qc.queue(:'c', 'ship_order');
SELECT qc.answer_all();
-- Whoever asks now is behind the others.
SELECT qc.queue(:'c', 'complete_order', '{"payload": 1}');
SELECT oms.run_due() >= 1, qc.state(:'c');
SELECT qc.answer_all(), qc.state(:'c');
SELECT type, replace(reason, :'c', 'ORDER'), payload -> 'data' ->> 'error_code' AS code FROM oms.order_timeline(:'c') WHERE type ~ 'refused';
SELECT qc.busy() AS d \gset
SELECT qc.answer_all();
SELECT status, pending_action FROM oms.cancel_order(:'d', 'x', test.key());
SELECT qc.queue(:'d', 'cancel_order', '{"reason": "too"}'), qc.queue(:'d', 'ship_order');
SELECT qc.answer_all(), oms.run_due() >= 1, qc.state(:'d');
-- A cancel that was queued has the order until the money is back.
SELECT qc.busy() AS e \gset
SELECT qc.queue(:'e', 'reserve'), qc.answer_all();
SELECT qc.queue(:'e', 'cancel_order', '{"reason": "queued"}'), qc.queue(:'e', 'complete_order'), qc.queue(:'e', 'advance_order', '{"action": "refund", "reason": "r"}');
SELECT oms.run_due() >= 1, qc.state(:'e');
SELECT oms.run_due(), qc.answer_all(), oms.run_due() >= 1, qc.state(:'e');

-- A busy order may let a command pass: it is carried out at once.
SELECT qc.busy() AS f \gset
SELECT qc.queue(:'f', 'ship_order'), qc.queue(:'f', 'cancel_order', '{"reason": "at once"}'), qc.answer_all(), oms.run_due() >= 1, qc.state(:'f');

-- Its time is up: before the order is free, and when nobody looked in time.
SELECT qc.busy() AS g \gset
SELECT qc.queue(:'g', 'ship_order', '{}', '10 seconds'), qc.queue(:'g', 'refund_order', '{"amount_minor": 1}', '5 seconds'), qc.queue(:'g', 'ship_order', '{"payload": 2}', '30 seconds');
SELECT qc.later('5 seconds') >= 1, qc.state(:'g');
SELECT qc.answer_all();
SELECT qc.later('5 seconds') >= 1, qc.state(:'g');
SELECT status, error FROM oms.queued_command WHERE order_id = :'g' ORDER BY command_id;
SELECT type, reason FROM oms.order_timeline(:'g') WHERE type ~ 'refused';

-- Canceled.
SELECT qc.busy() AS h \gset
SELECT command_id AS id FROM oms.queue_command(:'h', 'ship_order', '{}', 'qc-h') \gset
SELECT test.fails(format('SELECT oms.cancel_queued_command(%s, NULL)', :id), 'OM001', 'without a reason');
SELECT test.fails('SELECT oms.cancel_queued_command(0, ''x'')', 'OM002', 'what is not there');
SELECT status, error, replayed FROM oms.cancel_queued_command(:id, 'wrong address');
SELECT status, error, replayed FROM oms.cancel_queued_command(:id, 'again');
SELECT status, replayed FROM oms.queue_command(:'h', 'ship_order', '{}', 'qc-h');
SELECT qc.answer_all(), oms.run_due(), qc.state(:'h');
SELECT type, reason FROM oms.order_timeline(:'h') WHERE type ~ 'refused';

-- A conflict is tried again, later each time; those behind it wait. The trigger is another session's deadlock.
CREATE FUNCTION qc.conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.type = 'order.shipped' THEN RAISE EXCEPTION 'no luck' USING ERRCODE = current_setting('qc.state'); END IF; RETURN NEW; END $$;
SET qc.state = '40P01';
CREATE TRIGGER conflict BEFORE INSERT ON oms.event_default FOR EACH ROW EXECUTE FUNCTION qc.conflict();
SELECT qc.busy() AS i \gset
SELECT qc.queue(:'i', 'ship_order'), qc.queue(:'i', 'complete_order'), qc.answer_all(), oms.run_due() >= 1, qc.state(:'i');
SELECT qc.later('2 seconds') >= 1, qc.later('3 seconds') >= 1, qc.state(:'i');
SELECT what, definition, why FROM oms.stuck WHERE key = :'i';
SET qc.state = 'P0001';
SELECT qc.later('10 seconds') >= 1, qc.state(:'i');
DROP TRIGGER conflict ON oms.event_default;
SELECT status, error_code, replace(error, :'i', 'ORDER') FROM oms.queued_command WHERE order_id = :'i' ORDER BY command_id;

-- Nobody looks: it is stuck, and says why.
SELECT qc.busy() AS j \gset
SELECT qc.queue(:'j', 'ship_order'), qc.answer_all();
SELECT set_config('oms.now_override', (current_setting('oms.now_override')::timestamptz + interval '2 minutes')::text, false) <> '';
SELECT what, definition, why, what_to_do FROM oms.stuck WHERE key = :'j';
SELECT oms.run_due() >= 1, qc.state(:'j');

-- It is carried out with the rights that the role has then.
CREATE ROLE qc_clerk;
SELECT oms.grant_application('qc_clerk');
GRANT USAGE ON SCHEMA qc, test TO qc_clerk;
GRANT USAGE ON SEQUENCE test.key_seq TO qc_clerk;
SELECT qc.busy() AS k \gset
SET ROLE qc_clerk;
SELECT qc.queue(:'k', 'ship_order'), qc.queue(:'k', 'complete_order');
SELECT test.fails(format('SELECT oms.purge_queued_commands()'), '42501', 'purge is for others');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION oms.complete_order(uuid, text, integer, jsonb) FROM qc_clerk;
SELECT qc.answer_all(), oms.run_due() >= 1, qc.state(:'k');
SET ROLE qc_clerk;
SELECT test.fails(format('SELECT oms.queue_command(%L, ''complete_order'', ''{}'', test.key())', :'k'), '42501', 'nor is it a way round');
RESET ROLE;
SELECT qc.busy() AS l \gset
SET ROLE qc_clerk;
SELECT qc.queue(:'l', 'ship_order');
RESET ROLE;
SELECT oms.revoke_all('qc_clerk');
REVOKE ALL ON SCHEMA qc, test FROM qc_clerk;
REVOKE ALL ON SEQUENCE test.key_seq FROM qc_clerk;
DROP ROLE qc_clerk;
SELECT qc.answer_all(), oms.run_due() >= 1, qc.state(:'l');
SELECT regexp_replace(error, '[0-9]+', 'N') FROM oms.queued_command WHERE order_id = :'l';

-- Every command that can be queued, with all its arguments, is called as it would be directly: what is asked for again under its key is replayed.
CREATE TEMP TABLE sample (n int, status text, command text, arguments jsonb, direct text);
INSERT INTO sample VALUES
    (1, 'paid', 'advance_order', '{"action": "confirm", "reason": "r", "payload": {"a": 1}}', $$advance_order(%L, 'confirm', %L, reason => 'r', payload => '{"a": 1}')$$),
    (2, 'confirmed', 'ship_order', '{"payload": [1]}', $$ship_order(%L, %L, payload => '[1]')$$),
    (3, 'shipped', 'complete_order', '{"payload": null}', $$complete_order(%L, %L)$$),
    (4, 'pending', 'cancel_order', '{"reason": "r"}', $$cancel_order(%L, 'r', %L)$$),
    (5, 'paid', 'refund_order', '{"amount_minor": 10.0, "reason": "r"}', $$refund_order(%L, 10, 'r', %L)$$),
    (6, 'paid', 'refund_order', '{"amount_minor": null}', $$refund_order(%L, idempotency_key => %L)$$),
    (7, 'pending', 'amend_order', '{"items": [{"sku": "a", "qty": 1, "price_minor": 1}], "reason": "r"}', $$amend_order(%L, '[{"sku": "a", "qty": 1, "price_minor": 1}]', %L, reason => 'r')$$),
    (8, 'goods', 'reserve', '{"expires_in": "1 hour"}', $$reserve(%L, %L, '1 hour')$$),
    (9, 'held', 'release', '{"reason": "r"}', $$release(%L, 'r', %L)$$),
    (10, 'goods', 'pay_order', '{"policy": {"auth_only": true}, "method": {"token": "t"}}', $$pay_order(%L, %L, '{"auth_only": true}', '{"token": "t"}')$$),
    (12, 'confirmed', 'create_shipment', '{"items": [{"sku": "SKU-1", "qty": 1}], "carrier": "dhl", "tracking": "JX", "assignee": "anna", "metadata": {"a": 1}}',
        $$create_shipment(%L, '[{"sku": "SKU-1", "qty": 1}]', %L, 'dhl', 'JX', 'anna', '{"a": 1}')$$),
    (11, 'pending', 'authorize_payment', '{"amount_minor": 5, "provider": "acme", "method": {"token": "t"}}', $$authorize_payment(%L, 5, %L, 'acme', '{"token": "t"}')$$);
CREATE FUNCTION qc.prepared(wanted text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
BEGIN
    IF wanted NOT IN ('goods', 'held') THEN RETURN test.make_order(wanted); END IF;
    SELECT order_id INTO id FROM oms.create_order('c', 'EUR', '[{"sku": "QC-1", "qty": 1, "price_minor": 100}]', test.key());
    IF wanted = 'held' THEN PERFORM oms.reserve(id, test.key()); END IF;
    RETURN id;
END $$;
ALTER TABLE sample ADD id uuid;
UPDATE sample SET id = qc.prepared(status);
CREATE FUNCTION qc.replayed(direct text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    answer boolean;
BEGIN
    EXECUTE 'SELECT replayed FROM oms.' || direct INTO answer;
    RETURN answer;
END $$;
-- Something has the orders, until an operator lets them go by force.
UPDATE oms.orders SET pending_action = 'testing' WHERE order_id IN (SELECT id FROM sample);
SELECT command, (oms.queue_command(id, command, arguments, 'qc-sample-' || n)).status FROM sample ORDER BY n;
SELECT test.nothing($$SELECT c.command FROM oms.queued_command c JOIN sample s ON s.id = c.order_id WHERE c.status <> 'waiting'$$, 'all wait');
-- The direct call is the same request, and finds the order busy; under the same key no other one is accepted.
SELECT test.nothing($$SELECT command, o FROM sample, test.outcome('SELECT oms.' || format(direct, id, 'qc-sample-' || n)) o WHERE o.state <> 'OM005'$$, 'the same request');
SELECT test.nothing($$SELECT command, o FROM sample, test.outcome(format('SELECT oms.hold_order(%L, ''x'', %L)', id, 'qc-sample-' || n)) o WHERE o.state <> 'OM008'$$, 'another request');
SELECT count(f.version) FROM sample s, oms.force_order(id, CASE s.status WHEN 'goods' THEN 'pending' WHEN 'held' THEN 'reserved' ELSE s.status END, 'let it go', 'otto', test.key()) f;
SELECT oms.run_due() >= 11;
SELECT s.command, c.status, replace(c.error, s.id::text, 'ORDER'), qc.replayed(format(direct, id, 'qc-sample-' || n)) FROM sample s JOIN oms.queued_command c ON c.order_id = s.id ORDER BY n;

-- What cannot be queued.
SELECT test.outcome(format('SELECT oms.queue_command(%L, %L, %L, %L, %L)', :'a', command, arguments, key, after)) FROM (VALUES
    ('hold_order', '{}', 'k', '1 day'), ('ship_order', '{"reason": "r"}', 'k', '1 day'), ('ship_order', '[]', 'k', '1 day'),
    ('cancel_order', '{"reason": 5}', 'k', '1 day'), ('refund_order', '{"amount_minor": "5"}', 'k', '1 day'), ('refund_order', '{"amount_minor": 1.5}', 'k', '1 day'),
    ('reserve', '{"expires_in": "soon"}', 'k', '1 day'), ('ship_order', '{"": 1}', 'k', '1 day'), ('ship_order', '{}', NULL, '1 day'), ('ship_order', '{}', 'k', '0'),
    ('ship_order', '{}', 'k', '367 days'), (NULL, '{}', 'k', '1 day')) v(command, arguments, key, after);
SELECT test.fails('SELECT oms.queue_command(NULL, ''ship_order'', ''{}'', ''k'')', 'OM001', 'no order');
SELECT test.fails('SELECT oms.queue_command(''01890000-0000-7000-8000-000000000000'', ''ship_order'', ''{}'', ''k'')', 'OM002', 'an order that is not there');

SELECT cardinality(qc.answer_all());

-- Nothing is left that nobody will look at; and the check finds it if it were.
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
SELECT qc.busy() AS m \gset
SELECT qc.queue(:'m', 'ship_order');
BEGIN;
DELETE FROM oms.timer WHERE kind = 13;
SELECT check_name, detail FROM oms.check_integrity() WHERE check_name = 'queued_command';
ROLLBACK;
SELECT qc.answer_all();
BEGIN;
DELETE FROM oms.timer WHERE kind = 13 AND subject_id = 0;
SELECT check_name, detail FROM oms.check_integrity() WHERE check_name = 'queued_command';
ROLLBACK;
SELECT oms.run_due() >= 1, qc.state(:'m');

-- Purge: what is closed, and long enough.
SELECT count(*) > 20 FROM oms.list_queued_commands();
SELECT oms.purge_queued_commands('1 hour');
SELECT oms.purge_queued_commands('0', 3), oms.purge_queued_commands('0') > 20, oms.purge_queued_commands('0');
SELECT count(*), count(*) FILTER (WHERE status = 'waiting') FROM oms.queued_command;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
RESET oms.now_override;
SET client_min_messages = warning;
SELECT oms.set_fulfilment_policy('{"queue": "payments"}') ->> 'queue';
DROP SCHEMA qc CASCADE;
