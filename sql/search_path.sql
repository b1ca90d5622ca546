-- Goal: no search_path changes what a function of ours does: not operators, functions, types or tables of the same names, not an empty path.
-- Method: a schema in front of pg_catalog whose operators and functions all raise, and whose tables are decoys; the API as an application,
-- then the operator's part; the answers are those of an innocent path.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;
DROP ROLE IF EXISTS oms_test_hostile;
CREATE ROLE oms_test_hostile;
SELECT oms.grant_operator('oms_test_hostile');
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.boom() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the search_path decided'; END $$;

-- An operator of our own for each operator of pg_catalog that our SQL might mean.
DO $$
DECLARE
    o record;
    n int := 0;
BEGIN
    FOR o IN SELECT oprname, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result FROM pg_operator
             WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b' AND oprname IN ('=', '<>', '<', '<=', '>', '>=', '||', '->', '->>', '-', '+', '*')
             AND oprleft::regtype::text IN ('uuid', 'text', 'bigint', 'integer', 'timestamp with time zone', 'jsonb', 'boolean', 'numeric', 'xid8', 'name', 'text[]', 'oid', 'regprocedure')
             AND oprright::regtype::text IN ('uuid', 'text', 'bigint', 'integer', 'timestamp with time zone', 'jsonb', 'boolean', 'numeric', 'xid8', 'name', 'text[]', 'oid', 'interval') LOOP
        n := n + 1;
        EXECUTE format('CREATE FUNCTION evil.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION ''''the search_path decided''''; END''', n, o.l, o.r, o.result);
        EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.op_%s)', o.oprname, o.l, o.r, n);
    END LOOP;
END $$;
-- And a function for each name that our SQL calls.
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT DISTINCT ON (p.proname, pg_get_function_identity_arguments(p.oid)) p.proname, pg_get_function_identity_arguments(p.oid) AS args, p.prorettype::regtype AS result, p.prokind
             FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
             AND p.proname IN ('now', 'clock_timestamp', 'lower', 'upper', 'length', 'jsonb_strip_nulls', 'to_jsonb', 'uuid_in', 'nextval', 'to_regprocedure', 'age', 'greatest',
                               'pg_current_xact_id', 'pg_current_snapshot', 'pg_visible_in_snapshot', 'session_user', 'pg_backend_pid', 'hashtext', 'quote_ident', 'timestamptz_eq', 'uuid_eq')
             AND pg_get_function_identity_arguments(p.oid) !~ 'internal|cstring' AND p.prorettype::regtype::text NOT IN ('cstring', 'internal') LOOP
        EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION ''''the search_path decided''''; END''', f.proname, f.args, f.result);
    END LOOP;
END $$;
CREATE FUNCTION evil.format(VARIADIC text[]) RETURNS text LANGUAGE sql RETURN evil.boom();
CREATE FUNCTION evil.format(text, text) RETURNS text LANGUAGE sql RETURN evil.boom();
CREATE FUNCTION evil.format(text, regrole) RETURNS text LANGUAGE sql RETURN evil.boom();
SELECT count(*) > 100 AS operators FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace;
-- Decoys: tables and types of our names, in the schema and among the temporary ones, open to everybody.
CREATE TABLE evil.orders AS SELECT * FROM oms.orders LIMIT 0;
CREATE TABLE evil.event AS SELECT * FROM oms.event LIMIT 0;
CREATE TABLE evil.order_item AS SELECT * FROM oms.order_item LIMIT 0;
CREATE TABLE evil.idempotency_key AS SELECT * FROM oms.idempotency_key LIMIT 0;
CREATE TABLE evil.order_transition AS SELECT from_status, action, 'completed' AS to_status, blocked_by_hold, effect, event_type, false AS builtin FROM oms.order_transition;
CREATE TABLE evil.topic_route AS SELECT aggregate_type, type, 'evil' AS topic, builtin FROM oms.topic_route;
CREATE TABLE evil.api AS SELECT function, 'application'::text AS audience FROM oms.api;
CREATE TABLE evil.audit AS SELECT * FROM oms.audit LIMIT 0;
CREATE SEQUENCE evil.event_id_seq START 1000000000;
CREATE TYPE evil.order_state AS (x int);
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.jsonb AS pg_catalog.jsonb CHECK (false);
GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
CREATE TEMP TABLE orders AS SELECT * FROM oms.orders LIMIT 0;
CREATE TEMP TABLE event AS SELECT * FROM oms.event LIMIT 0;
CREATE TEMP TABLE order_item AS SELECT * FROM oms.order_item LIMIT 0;
GRANT ALL ON orders, event, order_item TO PUBLIC;
RESET client_min_messages;

-- The life of an order, and every query, step by step. ORDER stands for its id, which the first step sets.
CREATE FUNCTION public.step(n pg_catalog.int4) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$
DECLARE
    steps pg_catalog.text[] := ARRAY[
        $s$status FROM oms.create_order('hostile', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 100, "x": 1}]', 'hostile-1', 'ref', '{"a": 1}')$s$,
        $s$total_minor FROM oms.amend_order(ORDER, '[{"sku": "b", "qty": 2, "price_minor": 100}]', 'hostile-2')$s$,
        $s$on_hold FROM oms.hold_order(ORDER, 'x', 'hostile-3')$s$,
        $s$on_hold FROM oms.release_hold(ORDER, 'hostile-4')$s$,
        $s$status FROM oms.advance_order(ORDER, 'reserve', 'hostile-5')$s$,
        $s$status FROM oms.advance_order(ORDER, 'pay', 'hostile-6')$s$,
        $s$refunded_minor FROM oms.refund_order(ORDER, 50, 'x', 'hostile-7')$s$,
        $s$status FROM oms.force_order(ORDER, 'shipped', 'x', 'ann', 'hostile-8')$s$,
        $s$status FROM oms.complete_order(ORDER, 'hostile-9')$s$,
        $s$version FROM oms.append_events('hostile', 'h', 0, '[{"type": "t", "payload": {}}]', 'hostile-10')$s$,
        $s$pg_catalog.jsonb_extract_path_text(oms.get_order(ORDER), 'status')$s$,
        $s$pg_catalog.count(*) FROM oms.order_timeline(ORDER)$s$,
        $s$pg_catalog.count(*) FROM oms.list_orders('{"customer_id": "hostile", "status": ["completed"], "on_hold": false, "created_from": "2020-01-01 00:00:00+00"}')$s$,
        $s$pg_catalog.count(*) FROM oms.list_events(pg_catalog.jsonb_build_object('aggregate_id', ORDER, 'type', 'order.created'))$s$,
        $s$pg_catalog.count(*) FROM oms.read_stream('hostile', 'h', 1, 1)$s$,
        $s$pg_catalog.count(*) FROM oms.check_integrity()$s$,
        $s$oms.purge_idempotency(1) OPERATOR(pg_catalog.>=) 0$s$,
        $s$pg_catalog.count(*) FROM oms.order_machine()$s$,
        $s$pg_catalog.count(*) FROM oms.create_orders('[{"customer_id": "hostile", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 100}], "idempotency_key": "hostile-19"}]')$s$,
        $s$oms.create_reader('hostile')$s$,
        $s$pg_catalog.count(*) FROM oms.read_events('hostile')$s$,
        $s$oms.commit_reader('hostile')$s$,
        $s$lag_events FROM oms.reader_status('hostile')$s$,
        $s$pg_catalog.count(*) FROM oms.dlq_list('{"reader": "hostile"}')$s$,
        $s$oms.drop_reader('hostile')$s$];
    answer pg_catalog.text;
BEGIN
    EXECUTE pg_catalog.replace(pg_catalog.concat('SELECT ', steps[n]), 'ORDER', pg_catalog.concat('''', pg_catalog.current_setting('hostile.id', true), '''::pg_catalog.uuid'))
        INTO answer;
    RETURN answer;
END $$;
SET ROLE oms_test_hostile;
SET search_path = evil, pg_temp, oms, pg_catalog;
SELECT public.step(1);
SELECT pg_catalog.set_config('hostile.id', order_id::pg_catalog.text, false) IS NOT NULL FROM oms.create_order('hostile', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 100, "x": 1}]', 'hostile-1', 'ref', '{"a": 1}');
SELECT n, public.step(n) FROM pg_catalog.generate_series(2, 25) n;
-- On an empty path; and in a session where nothing is planned yet.
SET search_path = '';
SELECT n, public.step(n) FROM pg_catalog.generate_series(1, 25) n;
\c -
\t on
SET search_path = evil, pg_catalog;
SELECT public.step(16);
\c -
\t on
SET search_path = evil, pg_catalog;
SELECT oms.grant_reader('oms_test_hostile');
SELECT oms.revoke_all('oms_test_hostile');
INSERT INTO oms.order_status (status) VALUES ('hostile');
INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('hostile', 'go', 'paid', 'order.paid');
RESET search_path;
DELETE FROM oms.order_transition WHERE from_status = 'hostile';
DELETE FROM oms.order_status WHERE status = 'hostile';

-- Nothing went into the decoys, and the events went where the routes say.
SELECT test.equal((SELECT count(*) FROM evil.orders) + (SELECT count(*) FROM evil.event) + (SELECT count(*) FROM evil.order_item) + (SELECT count(*) FROM evil.idempotency_key)
    + (SELECT count(*) FROM evil.audit), 0::bigint, 'the decoys are empty');
SELECT test.equal(array_agg(DISTINCT topic), '{oms.order.events}'::text[], 'the topic is the route''s') FROM oms.event e JOIN oms.orders o ON e.aggregate_id = o.order_id::text WHERE o.customer_id = 'hostile';
SELECT test.ok((SELECT NOT is_called FROM evil.event_id_seq), 'the ids are from our sequence');
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
DROP FUNCTION public.step;
DROP ROLE oms_test_hostile;
