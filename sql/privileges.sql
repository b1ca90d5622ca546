-- Goal: who may do what: an application does everything an application does and touches no table; nobody else is let in by accident.
-- Method: a role for each audience; the rights of each compared with oms.api function by function; the life of an order as an application.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP ROLE IF EXISTS oms_test_application, oms_test_reader, oms_test_worker, oms_test_operator, oms_test_nobody, "oms test; DROP";
RESET client_min_messages;
CREATE ROLE oms_test_application;
CREATE ROLE oms_test_reader;
CREATE ROLE oms_test_worker;
CREATE ROLE oms_test_operator;
CREATE ROLE oms_test_nobody;
CREATE ROLE "oms test; DROP";
SELECT oms.grant_application('oms_test_application');
SELECT oms.grant_reader('oms_test_reader');
SELECT oms.grant_worker('oms_test_worker');
SELECT oms.grant_operator('oms_test_operator');
SELECT oms.grant_application('"oms test; DROP"');
-- Granting twice changes nothing.
SELECT oms.grant_application('oms_test_application');

-- The audiences that each role has, and no others; PUBLIC has none.
CREATE TEMP TABLE has (role text, audiences text[]);
INSERT INTO has VALUES ('oms_test_application', '{application, reader}'), ('oms_test_reader', '{reader}'), ('oms_test_worker', '{worker, reader}'),
    ('oms_test_operator', '{application, reader, worker, operator}'), ('oms_test_nobody', '{}'), ('oms test; DROP', '{application, reader}');
SELECT test.nothing($$SELECT role, function FROM has, oms.api
    WHERE has_function_privilege(role, to_regprocedure('oms.' || function)::oid, 'EXECUTE') <> (audience = ANY (audiences))$$, 'every role may execute what its audience is for, and nothing else');
SELECT test.nothing($$SELECT role, c.oid::regclass, right_name FROM has, pg_class c, unnest('{SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER}'::text[]) right_name
    WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    AND has_table_privilege(role, c.oid, right_name) <> (role = 'oms_test_operator' AND right_name = 'SELECT')$$, 'only an operator looks at tables, and nobody changes them');
SELECT test.nothing($$SELECT role, c.oid::regclass FROM has, pg_class c, unnest('{USAGE, UPDATE}'::text[]) right_name
    WHERE c.relnamespace = 'oms'::regnamespace AND c.relkind = 'S' AND has_sequence_privilege(role, c.oid, right_name)$$, 'nobody draws from a sequence');
SELECT test.nothing($$SELECT role FROM has WHERE has_schema_privilege(role, 'oms', 'CREATE') OR has_schema_privilege(role, 'oms', 'USAGE') <> (audiences <> '{}')$$,
    'the schema is open for those who have something in it, and nobody adds to it');

-- An application: the whole API, by the name of the audience, in one go.
GRANT USAGE ON SCHEMA test TO oms_test_application;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA test TO oms_test_application;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA test TO oms_test_application;
SET ROLE oms_test_application;
SELECT order_id AS a, status FROM oms.create_order('app', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 100}]', 'app-1') \gset
SELECT count(*) FROM oms.create_orders('[{"customer_id": "app", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 100}], "idempotency_key": "app-2"}]');
SELECT total_minor FROM oms.amend_order(:'a', '[{"sku": "b", "qty": 2, "price_minor": 100}]', 'app-3');
SELECT on_hold FROM oms.hold_order(:'a', 'x', 'app-4');
SELECT on_hold FROM oms.release_hold(:'a', 'app-5');
SELECT status FROM oms.advance_order(:'a', 'reserve', 'app-6');
SELECT status FROM oms.advance_order(:'a', 'pay', 'app-7');
SELECT status FROM oms.advance_order(:'a', 'confirm', 'app-8');
SELECT status FROM oms.ship_order(:'a', 'app-9');
SELECT status FROM oms.complete_order(:'a', 'app-10');
SELECT refunded_minor FROM oms.refund_order(:'a', 50, 'x', 'app-11');
SELECT status FROM oms.cancel_order(test.make_order(), 'x', 'app-12');
SELECT version FROM oms.append_events('app', 'app', 0, '[{"type": "t", "payload": {}}]');
SELECT oms.get_order(:'a') ->> 'status';
SELECT count(*) FROM oms.list_orders('{"customer_id": "app"}');
SELECT count(*) FROM oms.order_timeline(:'a');
SELECT count(*) FROM oms.list_events(jsonb_build_object('aggregate_id', :'a'));
SELECT count(*) FROM oms.read_stream('app', 'app');
SELECT count(*) > 0 FROM oms.order_machine();
SELECT oms.order_machine_graph() <> '' AND oms.customer_hash('app') >= 0 AND (oms.order_facts(:'a')).created_at IS NOT NULL AND oms.version() <> '';
SELECT count(*) > 0 FROM oms.errors();
SELECT replayed FROM oms.advance_order(:'a', 'pay', 'app-7');
-- What it may not.
SELECT test.fails(statement, '42501', statement) FROM unnest(ARRAY[
    'SELECT * FROM oms.orders', 'SELECT * FROM oms.orders_default', 'INSERT INTO oms.event_default DEFAULT VALUES', 'UPDATE oms.orders SET status = ''paid''', 'DELETE FROM oms.idempotency_key',
    'TRUNCATE oms.stream', 'SELECT nextval(''oms.event_id_seq'')', 'SELECT setval(''oms.event_id_seq'', 1)', 'SELECT * FROM oms.audit', 'INSERT INTO oms.order_transition DEFAULT VALUES',
    'CREATE TABLE oms.mine (a int)', 'ALTER TABLE oms.orders ADD mine int', 'CREATE TRIGGER t BEFORE INSERT ON oms.orders EXECUTE FUNCTION oms.log_only_grows()',
    'SELECT oms.purge_idempotency()', 'SELECT * FROM oms.check_integrity()', 'SELECT oms.grant_application(''oms_test_nobody'')', 'SELECT oms.grant_audiences(''oms_test_nobody'', ''{operator}'')',
    'DROP EXTENSION oms', 'SET oms.now_override = ''2001-01-01 00:00:00+00''', 'SET oms.idempotency_ttl = ''1h''', 'SET oms.doorbell = off']) statement;
SELECT test.fails(format($$SELECT oms.force_order(%L, 'paid', 'x', 'x', 'x')$$, :'a'), '42501', 'force_order');
-- The rights of the owner, with which the functions reach the tables, do not stay: not after a success, not after an error, not in a function that caught one.
SELECT test.fails('SELECT oms.list_orders(''[]'')', 'OM001', 'an error inside a query');
SELECT current_user;
CREATE FUNCTION pg_temp.after_error() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM oms.create_order('c', 'EUR', '[]', 'app-13');
EXCEPTION WHEN SQLSTATE 'OM001' THEN
    RETURN current_user || ' ' || has_table_privilege('oms.orders', 'SELECT');
END $$;
SELECT pg_temp.after_error();
SELECT test.fails('SELECT * FROM oms.order_item', '42501', 'still no table');
-- A change of role in the session changes what may be called at once.
RESET ROLE;
SET ROLE oms_test_nobody;
SELECT oms.version();
RESET ROLE;

-- A reader reads, a worker looks after the log, an operator forces and looks.
SET ROLE oms_test_reader;
SELECT oms.get_order(:'a') ->> 'status';
SELECT oms.cancel_order(:'a', 'x', 'reader-1');
SELECT count(*) FROM oms.orders;
RESET ROLE;
SET ROLE oms_test_worker;
SELECT oms.purge_idempotency(1) >= 0;
SELECT oms.get_order(:'a') ->> 'status';
SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'worker-1');
SELECT count(*) FROM oms.event;
RESET ROLE;
SET ROLE oms_test_operator;
SELECT status FROM oms.force_order(:'a', 'shipped', 'x', 'ann', 'operator-1');
SELECT count(*) FROM oms.orders WHERE order_id = :'a';
SELECT count(*) FROM oms.check_integrity();
DELETE FROM oms.orders;
SELECT oms.grant_application('oms_test_nobody');
RESET ROLE;

-- A saga is turned back by those who may start it, and by operators, who may undo it in any case; nobody else, and operators do nothing else to it.
SET ROLE oms_test_application;
SELECT oms.define_saga('test.private', '{"steps": [{"name": "w", "kind": "wait", "signal": "go"}]}');
SELECT saga_id AS first FROM oms.start_saga('test.private', '{}', 'private-1') \gset
SELECT saga_id AS second FROM oms.start_saga('test.private', '{}', 'private-2') \gset
SET ROLE "oms test; DROP";
SELECT oms.start_saga('test.private', '{}', 'private-3');
SELECT oms.cancel_saga(:first, 'x', 'private-4');
SELECT oms.compensate_saga(:first, 'x', 'private-5');
SET ROLE oms_test_operator;
SELECT status FROM oms.cancel_saga(:first, 'x', 'private-6');
SELECT status FROM oms.compensate_saga(:second, 'x', 'private-7');
SELECT oms.start_saga('test.private', '{}', 'private-8');
SELECT oms.signal_saga(:second, 'go', NULL, 'private-9');
RESET ROLE;
-- The audit names who logged in, not the role put on.
SELECT session_role = session_user AS logged_in, actor FROM oms.audit WHERE object = 'order ' || :'a';

-- revoke_all takes everything back.
SELECT oms.revoke_all(role::regrole) FROM unnest('{oms_test_application, oms_test_reader, oms_test_worker, oms_test_operator, "\"oms test; DROP\""}'::text[]) role;
SELECT test.nothing($$SELECT role, function FROM has, oms.api WHERE has_function_privilege(role, to_regprocedure('oms.' || function)::oid, 'EXECUTE')$$, 'no function is left');
SELECT test.nothing($$SELECT role FROM has WHERE has_schema_privilege(role, 'oms', 'USAGE')$$, 'nor the schema');
SELECT test.fails('SELECT oms.' || f || '(NULL)', 'OM001', f || ' of NULL') FROM unnest('{grant_application, grant_reader, grant_worker, grant_operator, revoke_all}'::text[]) f;
SELECT test.fails('SELECT oms.grant_audiences(''oms_test_reader'', NULL)', 'OM001', 'no audiences');
SELECT test.fails('SELECT oms.grant_reader(''oms_test_missing'')', '42704', 'a role that does not exist');
REVOKE ALL ON SCHEMA test FROM oms_test_application;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA test FROM oms_test_application;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA test FROM oms_test_application;
DROP OWNED BY oms_test_application, oms_test_nobody;
DROP ROLE oms_test_application, oms_test_reader, oms_test_worker, oms_test_operator, oms_test_nobody, "oms test; DROP";
