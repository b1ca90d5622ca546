-- Goal: shipments carry what was ordered and never more, by the machine and by hand; the last one takes its order along; an order that goes back takes
-- along what has not left, and keeps its hands off what has; the built-in saga makes one and undoes it.
-- Method: orders of two lines, 3 and 1 pieces, in every split; what must be refused beside what must not; a carrier that answers by hand; bad input.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';
CREATE SCHEMA ship;
SELECT on_hand FROM oms.set_stock('SHIP-1', 1000, 'ship-stock-1');
SELECT on_hand FROM oms.set_stock('SHIP-2', 1000, 'ship-stock-2');
-- An order of three SHIP-1 and one SHIP-2, confirmed, its goods taken from the stock.
CREATE FUNCTION ship.order_at(wanted text DEFAULT 'confirmed') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid := (SELECT order_id FROM oms.create_order('shipper', 'EUR', '[{"sku": "SHIP-1", "qty": 3, "price_minor": 100}, {"sku": "SHIP-2", "qty": 1, "price_minor": 50}]', test.key()));
BEGIN
    PERFORM oms.reserve(id, test.key());
    IF wanted IN ('paid', 'confirmed') THEN PERFORM test.advance(id, 'pay'); END IF;
    IF wanted = 'confirmed' THEN PERFORM test.advance(id, 'confirm'); END IF;
    RETURN id;
END $$;
CREATE FUNCTION ship.make(id uuid, items jsonb DEFAULT NULL) RETURNS uuid LANGUAGE sql
    RETURN (SELECT shipment_id FROM oms.create_shipment(id, items, test.key()));
-- "order status: what each shipment is and carries".
CREATE FUNCTION ship.state(id uuid) RETURNS text LANGUAGE sql BEGIN ATOMIC
    SELECT concat_ws(': ', concat_ws(' ', o.status, o.pending_action), string_agg(format('%s (%s)', s.status, (SELECT string_agg(i.qty || ' ' || i.sku, ', ' ORDER BY i.line_no) FROM oms.shipment_item i
        WHERE i.shipment_id = s.shipment_id)), ', ' ORDER BY s.first_event_id) FILTER (WHERE s.shipment_id IS NOT NULL))
    FROM oms.orders o LEFT JOIN oms.shipment s USING (order_id) WHERE o.order_id = id GROUP BY o.order_id, o.status, o.pending_action; END;
CREATE FUNCTION ship.refused(statement text, VARIADIC ids text[] DEFAULT '{}') RETURNS text LANGUAGE sql
    RETURN (SELECT regexp_replace(regexp_replace(concat_ws(' | ', o.state, o.message, o.detail, o.hint), '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID', 'g'), '(Saga|task) [0-9]+', '\1 N', 'g') FROM test.outcome(format(statement, VARIADIC ids)) o);
CREATE FUNCTION ship.stock() RETURNS text LANGUAGE sql RETURN (SELECT string_agg(on_hand || '/' || reserved, ' ' ORDER BY sku) FROM oms.stock WHERE sku LIKE 'SHIP-%');

-- All at once, by hand.
SELECT ship.order_at() AS a \gset
SELECT shipment_id AS s FROM oms.create_shipment(:'a', idempotency_key => 'ship-a', carrier => 'DHL', assignee => 'branch 7', metadata => '{"box": "L"}') \gset
SELECT shipment_id = :'s' AS same, order_id = :'a' AS of_order, status, version, carrier, tracking, assignee, reason, items, shipped_at, delivered_at, created_at, updated_at, order_status, replayed
FROM oms.create_shipment(:'a', idempotency_key => 'ship-a', carrier => 'DHL', assignee => 'branch 7', metadata => '{"box": "L"}');
SELECT test.fails(format('SELECT oms.create_shipment(%L, idempotency_key => ''ship-a'', carrier => ''UPS'')', :'a'), 'OM008', 'the key of another shipment');
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'a');
SELECT tracking, assignee, version, updated_at FROM oms.update_shipment(:'s', test.key(), tracking => 'JX 77', expected_version => 1);
SELECT ship.refused('SELECT oms.update_shipment(%L, test.key(), expected_version => 1)', :'s');
SELECT ship.refused('SELECT oms.deliver_shipment(%L, test.key())', :'s');
SELECT ship.refused('SELECT oms.return_shipment(%L, ''x'', test.key())', :'s');
SET oms.now_override = '2026-03-01 11:00:00+00';
SELECT status, version, carrier, tracking, shipped_at, order_status, replayed FROM oms.ship_shipment(:'s', 'ship-a-1', carrier => 'UPS');
SELECT status, version, carrier, tracking, shipped_at, order_status, replayed FROM oms.ship_shipment(:'s', 'ship-a-1', carrier => 'UPS');
SELECT ship.refused('SELECT oms.ship_shipment(%L, test.key())', :'s');
SELECT ship.refused('SELECT oms.cancel_shipment(%L, ''x'', test.key())', :'s');
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'a');
SET oms.now_override = '2026-03-02 09:00:00+00';
SELECT status, version, delivered_at, order_status FROM oms.deliver_shipment(:'s', test.key());
SELECT ship.state(:'a'), test.timeline(:'a');
SELECT jsonb_pretty(s - '{shipment_id, updated_at, requested_at}'::text[]) FROM jsonb_array_elements(oms.get_order(:'a') -> 'shipments') s;
SELECT oms.get_shipment(:'s') - '{shipment_id, order_id, timeline}'::text[];
-- Its story, under the order's key in the order's topic, in the order in which it happened.
SELECT seq, type, topic, key = :'a' AS under_the_order, payload - '{shipment_id, order_id, items}'::text[] FROM oms.list_events(jsonb_build_object('aggregate_type', 'shipment', 'aggregate_id', :'s'));
SELECT test.equal((SELECT array_agg(type ORDER BY id) FROM oms.event WHERE key = :'a' AND topic = 'oms.order.events'),
    '{order.created,inventory.reserved,order.reserved,order.paid,order.confirmed,shipment.created,shipment.updated,shipment.shipped,order.shipped,shipment.delivered,order.completed}', 'one story');
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'a');

-- In parts: by sku, by line, what is left; the order is shipped with the last, completed when all have arrived.
SELECT ship.order_at() AS b \gset
SELECT ship.make(:'b', '[{"sku": "SHIP-1", "qty": 1}]') AS s1 \gset
SELECT ship.make(:'b', '[{"line_no": 1, "qty": 1}, {"line_no": 2, "sku": "SHIP-2"}]') AS s2 \gset
SELECT ship.refused('SELECT oms.create_shipment(%L, ''[{"sku": "SHIP-1", "qty": 2}]'', test.key())', :'b');
SELECT ship.refused('SELECT oms.create_shipment(%L, ''[{"sku": "SHIP-2"}]'', test.key())', :'b');
SELECT ship.refused('SELECT oms.create_shipment(%L, ''[{"line_no": 1, "qty": 1}, {"sku": "SHIP-1", "qty": 1}]'', test.key())', :'b');
SELECT status, order_status FROM oms.ship_shipment(:'s1', test.key());
SELECT status, order_status FROM oms.deliver_shipment(:'s1', test.key());
-- What is not in a shipment is open: the short form does not pass over it, and changes nothing.
SELECT ship.refused('SELECT oms.ship_order(%L, test.key())', :'b');
SELECT ship.refused('SELECT oms.advance_order(%L, ''ship'', test.key())', :'b');
SELECT ship.state(:'b');
SELECT ship.make(:'b') AS s3 \gset
SELECT status, order_status FROM oms.ship_shipment(:'s3', test.key());
SELECT status, order_status FROM oms.ship_shipment(:'s2', test.key());
SELECT status, order_status FROM oms.deliver_shipment(:'s2', test.key());
SELECT status, order_status FROM oms.deliver_shipment(:'s3', test.key());
SELECT ship.state(:'b');

-- The short forms take the shipments along.
SELECT ship.order_at() AS c \gset
SELECT ship.make(:'c', '[{"sku": "SHIP-1"}]') AS s1, ship.make(:'c') AS s2 \gset
SELECT status FROM oms.ship_order(:'c', test.key(), payload => '{"truck": 3}');
SELECT ship.state(:'c');
SELECT status, order_status FROM oms.deliver_shipment(:'s1', test.key());
SELECT status FROM oms.complete_order(:'c', test.key());
SELECT ship.state(:'c'), test.timeline(:'c');
-- Without shipments they move the order alone, as do shipments that came to nothing.
SELECT ship.order_at() AS d \gset
SELECT ship.make(:'d') AS s \gset
SELECT status, reason, order_status FROM oms.cancel_shipment(:'s', 'wrong box', test.key());
SELECT ship.refused('SELECT oms.ship_shipment(%L, test.key())', :'s');
SELECT status FROM oms.ship_order(:'d', test.key());
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'d');
SELECT status FROM oms.complete_order(:'d', test.key());
SELECT ship.state(:'d');

-- What came back is open again: the order waits for it, and it can be shipped anew.
SELECT ship.order_at() AS e \gset
SELECT ship.make(:'e', '[{"sku": "SHIP-1"}]') AS s1, ship.make(:'e') AS s2 \gset
SELECT status FROM oms.ship_order(:'e', test.key());
SELECT status, reason, order_status FROM oms.return_shipment(:'s1', 'nobody at home', test.key());
SELECT status, order_status FROM oms.deliver_shipment(:'s2', test.key());
SELECT ship.state(:'e');
SELECT ship.refused('SELECT oms.create_shipment(%L, ''[{"sku": "SHIP-2"}]'', test.key())', :'e');
SELECT ship.make(:'e', '[{"sku": "SHIP-1", "qty": 2}]') AS s3 \gset
SELECT ship.refused('SELECT oms.complete_order(%L, test.key())', :'e');
SELECT on_hold FROM oms.hold_order(:'e', 'look at it', test.key());
SELECT ship.refused('SELECT oms.ship_shipment(%L, test.key())', :'s3');
SELECT on_hold FROM oms.release_hold(:'e', test.key());
SELECT status, order_status FROM oms.ship_shipment(:'s3', test.key());
SELECT status, order_status FROM oms.deliver_shipment(:'s3', test.key());
-- One piece never arrives; that is for somebody to say.
SELECT status FROM oms.complete_order(:'e', test.key());
SELECT ship.state(:'e');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity, all ways there');

-- When goods may leave, and when not.
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', ship.order_at('paid')::text);
SELECT ship.order_at() AS f \gset
SELECT ship.make(:'f', '[{"sku": "SHIP-2"}]') AS s \gset
SELECT on_hold FROM oms.hold_order(:'f', 'fraud?', test.key());
SELECT ship.refused('SELECT oms.ship_shipment(%L, test.key())', :'s');
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'f');
SELECT status FROM oms.cancel_shipment(:'s', NULL, test.key());
SELECT on_hold FROM oms.release_hold(:'f', test.key());
-- The items of an order are those of its shipments.
SELECT ship.make(:'f', '[{"sku": "SHIP-2"}]') AS s \gset
SELECT ship.refused('SELECT oms.amend_order(%L, ''[{"sku": "SHIP-1", "qty": 1, "price_minor": 350}]'', test.key())', :'f');
SELECT status FROM oms.cancel_shipment(:'s', 'other goods', test.key());
SELECT total_minor FROM oms.amend_order(:'f', '[{"sku": "SHIP-2", "qty": 7, "price_minor": 50}]', test.key());
SELECT ship.make(:'f') IS NOT NULL;
SELECT ship.state(:'f');

-- An order that goes back takes along what has not left; what has left does not go back on the shelf.
SELECT ship.stock() AS before \gset
SELECT ship.order_at() AS g \gset
SELECT ship.make(:'g') AS s \gset
SELECT status FROM oms.cancel_order(:'g', 'second thoughts', test.key());
SELECT ship.state(:'g'), test.equal(ship.stock(), :'before', 'everything is back');
SELECT reason FROM oms.shipment WHERE shipment_id = :'s';
SELECT ship.order_at() AS h \gset
SELECT ship.make(:'h', '[{"sku": "SHIP-1", "qty": 2}]') AS s1, ship.make(:'h') AS s2 \gset
SELECT order_status FROM oms.ship_shipment(:'s1', test.key());
SELECT ship.refused('SELECT oms.cancel_order(%L, ''x'', test.key())', :'h');
SELECT status FROM oms.refund_order(:'h', NULL, 'lost patience', test.key());
SELECT ship.state(:'h'), ship.stock(), :'before';
SELECT sku, qty, returned_at IS NOT NULL AS back FROM oms.reservation WHERE order_id = :'h' ORDER BY sku, reservation_id;
SELECT payload -> 'items' FROM oms.order_timeline(:'h') WHERE type = 'inventory.released';
-- It arrives all the same, or comes back; the order stays what it is.
SELECT status, order_status FROM oms.return_shipment(:'s1', 'refused', test.key());
SELECT ship.stock();
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'h');
-- What came back before: the order can be canceled, and the pieces are for somebody to look at.
SELECT ship.order_at() AS i \gset
SELECT ship.make(:'i', '[{"sku": "SHIP-2"}]') AS s \gset
SELECT order_status FROM oms.ship_shipment(:'s', test.key());
SELECT order_status FROM oms.return_shipment(:'s', 'dented', test.key());
SELECT ship.refused('SELECT oms.ship_order(%L, test.key())', :'i');
SELECT ship.stock() AS before \gset
SELECT status FROM oms.cancel_order(:'i', 'x', test.key());
SELECT :'before', ship.stock();

-- By force: the shipments follow as far as they can.
SELECT ship.order_at() AS j \gset
SELECT ship.make(:'j', '[{"sku": "SHIP-2"}]') AS s \gset
SELECT status FROM oms.force_order(:'j', 'shipped', 'it is gone, all of it', 'ann', test.key());
SELECT ship.state(:'j');
SELECT status FROM oms.force_order(:'j', 'completed', 'it has arrived', 'ann', test.key());
SELECT ship.state(:'j');
SELECT ship.order_at() AS k \gset
SELECT ship.make(:'k', '[{"sku": "SHIP-2"}]') AS s1, ship.make(:'k') AS s2 \gset
SELECT order_status FROM oms.ship_shipment(:'s1', test.key());
SELECT status FROM oms.force_order(:'k', 'canceled', 'a mistake', 'ann', test.key());
SELECT ship.state(:'k');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity, all ways back');

-- The saga: the shipment is there while the carrier is asked.
CREATE FUNCTION ship.answer(queue text, answer text DEFAULT 'yes', result jsonb DEFAULT '{"provider_ref": "p"}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    SELECT * INTO t FROM oms.claim_tasks(queue, 1);
    IF t.task_id IS NULL THEN RETURN 'nothing to do'; END IF;
    IF answer = 'yes' THEN PERFORM oms.complete_task(t.task_id, t.lease_epoch, result);
    ELSE PERFORM oms.fail_task(t.task_id, t.lease_epoch, answer, false); END IF;
    RETURN t.kind;
END $$;
SELECT oms.set_fulfilment_policy('{"queue": "ship-payments"}') ->> 'queue';
CREATE FUNCTION ship.paid() RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid := ship.order_at('reserved');
BEGIN
    PERFORM oms.pay_order(id, test.key(), '{"shipping": true}');
    WHILE ship.answer('ship-payments') <> 'nothing to do' LOOP END LOOP;
    RETURN id;
END $$;
SELECT ship.paid() AS l \gset
SELECT ship.state(:'l');
SELECT payload ->> 'key' = :'l' AS keyed, payload ->> 'purpose', payload -> 'shipment' ->> 'shipment_id' = s.shipment_id::text AS named, payload -> 'shipment' ->> 'order_id' = :'l' AS of_order,
    payload -> 'shipment' -> 'items', s.step_id >> 14 = (payload ->> 'saga_id')::bigint AS of_saga FROM oms.task t, oms.shipment s WHERE t.queue = 'shipping' AND t.status = 'ready' AND s.order_id = :'l';
SELECT shipment_id AS s FROM oms.list_shipments(jsonb_build_object('order_id', :'l', 'status', 'pending')) \gset
SELECT ship.refused('SELECT oms.ship_shipment(%L, test.key())', :'s');
SELECT ship.refused('SELECT oms.cancel_shipment(%L, ''x'', test.key())', :'s');
SELECT ship.refused('SELECT oms.create_shipment(%L, NULL, test.key())', :'l');
SELECT ship.answer('shipping', 'yes', '{"carrier": "DHL", "tracking": "JX 78", "label": "pdf"}'), ship.state(:'l');
SELECT carrier, tracking FROM oms.shipment WHERE shipment_id = :'s';
SELECT result FROM oms.saga_step t JOIN oms.saga s USING (saga_id) WHERE s.key = :'l' AND name = 'ship';
-- Called back.
SELECT status, pending_action FROM oms.cancel_order(:'l', 'second thoughts', test.key());
SELECT payload ->> 'purpose', payload -> 'shipment' ->> 'tracking' FROM oms.task WHERE queue = 'shipping' AND status = 'ready';
SELECT ship.refused('SELECT oms.ship_shipment(%L, test.key())', :'s');
SELECT ship.refused('SELECT oms.cancel_shipment(%L, ''x'', test.key())', :'s');
SELECT ship.answer('shipping'), ship.state(:'l');
SELECT ship.answer('ship-payments'), ship.state(:'l');
SELECT test.equal((SELECT array_agg(type ORDER BY seq) FROM oms.event WHERE aggregate_id = :'s'), '{shipment.requested,shipment.created,shipment.canceled}', 'its story');
-- Refused.
SELECT ship.paid() AS m \gset
SELECT ship.answer('shipping', 'no such street'), ship.state(:'m');
SELECT reason FROM oms.shipment WHERE order_id = :'m';
SELECT ship.answer('shipping'), ship.answer('ship-payments'), ship.state(:'m');
-- Canceled while nobody had the task: it is withdrawn, and there is nothing to call back.
SELECT ship.paid() AS n \gset
SELECT status, pending_action FROM oms.cancel_order(:'n', 'enough', test.key());
SELECT ship.answer('shipping'), ship.state(:'n');
SELECT ship.answer('ship-payments'), ship.state(:'n');
-- Somebody had it, and lost it; then another one is told no: who had it first may have sent it, and it is stopped first.
SELECT ship.paid() AS o \gset
SELECT count(*) FROM oms.claim_tasks('shipping', 1, interval '1 second');
SET oms.now_override = '2026-03-02 09:01:00+00';
SELECT ship.answer('shipping', 'no such street'), ship.state(:'o');
SELECT ship.answer('shipping'), ship.state(:'o');
SELECT ship.answer('ship-payments'), ship.state(:'o');
-- An answer that is odd is an answer.
SELECT ship.paid() AS p \gset
SELECT ship.answer('shipping', 'yes', jsonb_build_object('carrier', 7, 'tracking', repeat('x', 256))), ship.state(:'p');
SELECT carrier, tracking FROM oms.shipment WHERE order_id = :'p';
-- Shipped: it is not called back any more, by whomever.
SELECT status FROM oms.ship_order(:'p', test.key());
SELECT ship.refused('SELECT oms.cancel_order(%L, ''x'', test.key())', :'p');
SELECT ship.paid() AS q \gset
SELECT ship.answer('shipping', 'yes', NULL);
SELECT shipment_id AS s FROM oms.shipment WHERE order_id = :'q' \gset
SELECT ship.state(:'q');
SELECT order_status FROM oms.ship_shipment(:'s', test.key());
SELECT saga_id AS saga FROM oms.saga WHERE key = :'q' \gset
SELECT test.fails(format('SELECT oms.compensate_saga(%s, ''a try'', test.key())', :'saga'), 'OM003', 'nor is its saga undone');
SELECT ship.answer('shipping'), ship.answer('ship-payments'), ship.state(:'q');
-- It came back, and an operator opens the order again: then all of it can be undone.
SELECT order_status FROM oms.return_shipment(:'s', 'refused at the door', test.key());
SELECT status FROM oms.force_order(:'q', 'confirmed', 'it came back', 'ann', test.key());
SELECT status FROM oms.compensate_saga(:saga, 'it came back', test.key());
SELECT ship.answer('shipping'), ship.answer('ship-payments'), ship.state(:'q');
SELECT status FROM oms.saga WHERE saga_id = :saga;
-- On hold when its turn comes.
SELECT ship.order_at('reserved') AS r \gset
SELECT status FROM oms.pay_order(:'r', test.key(), '{"shipping": true}');
SELECT ship.answer('ship-payments');
SELECT on_hold FROM oms.hold_order(:'r', 'wait', test.key());
SELECT ship.answer('ship-payments'), ship.state(:'r');
SELECT on_hold FROM oms.release_hold(:'r', test.key());
SET oms.now_override = '2026-03-02 09:02:00+00';
SELECT oms.run_due() > 0;
SELECT ship.answer('shipping', 'yes', '{"carrier": "DHL"}'), ship.state(:'r');

-- Looking.
SELECT count(*), count(DISTINCT shipment_id) FROM oms.list_shipments(jsonb_build_object('order_id', :'b'));
SELECT status, carrier, assignee, metadata, requested_at, shipped_at FROM oms.list_shipments('{"assignee": "branch 7", "carrier": "UPS", "status": ["delivered", "shipped"], "requested_to": "2026-03-01 10:00:00.000001+00"}');
SELECT count(*) FROM oms.list_shipments('{"tracking": "JX 77", "requested_from": "2026-03-01 10:00:00+00"}');
WITH RECURSIVE page AS (
    SELECT 1 AS n, s.* FROM (SELECT array_agg(shipment_id) AS ids, min(next_cursor) AS cursor FROM oms.list_shipments("limit" => 7)) s
    UNION ALL
    SELECT n + 1, s.* FROM page, LATERAL (SELECT array_agg(shipment_id) AS ids, min(next_cursor) AS cursor FROM oms.list_shipments(cursor => page.cursor, "limit" => 7)) s WHERE page.cursor IS NOT NULL)
SELECT test.equal((SELECT array_agg(id ORDER BY id) FROM page, unnest(ids) id), (SELECT array_agg(shipment_id ORDER BY shipment_id) FROM oms.shipment), 'all pages are all shipments, each once');
SELECT ship.refused('SELECT oms.list_shipments(''{"courier": "x"}'')');
SELECT ship.refused('SELECT oms.list_shipments(cursor => ''x'')');
SELECT ship.refused('SELECT oms.%s(%L)', 'get_shipment', :'a');
SELECT ship.refused('SELECT oms.%s(%L)', 'get_shipment', gen_random_uuid()::text);
SELECT test.fails(format('SELECT oms.%s(%L, idempotency_key => test.key())', verb, id), 'OM002', verb || ' of what is no shipment')
FROM unnest('{update_shipment,ship_shipment,deliver_shipment,cancel_shipment,return_shipment}'::text[]) verb, unnest(ARRAY[:'a', '00000000-0000-0000-0000-000000000000']) id;

-- Bad items.
SELECT ship.order_at() AS z \gset
SELECT ship.refused('SELECT oms.create_shipment(%L, %L, test.key())', :'z', items) FROM unnest(ARRAY['[]', '{}', '"x"', '[1]', '[{}]', '[{"qty": 1}]', '[{"sku": ""}]', '[{"sku": 1}]', '[{"sku": "SHIP-9"}]',
    '[{"line_no": 3}]', '[{"line_no": 0}]', '[{"line_no": "1"}]', '[{"line_no": 1, "sku": "SHIP-2"}]', '[{"sku": "SHIP-1", "qty": 0}]', '[{"sku": "SHIP-1", "qty": 1.5}]',
    '[{"sku": "SHIP-1", "qty": "1"}]', '[{"sku": "SHIP-1", "qty": 9223372036854775807}]', '[{"sku": "SHIP-1", "qty": 1e400}]', '[{"sku": "SHIP-1", "quantity": 1}]',
    '[{"sku": "SHIP-1"}, {"line_no": 1}]']) WITH ORDINALITY bad(items, nth) ORDER BY nth;
SELECT test.fails(format('SELECT oms.create_shipment(%L, NULL, test.key(), %s => %L)', :'z', arg, value), 'OM001', arg || ' of ' || length(value) || ' characters')
FROM unnest('{carrier,tracking,assignee}'::text[]) arg, unnest(ARRAY['', repeat('x', 256)]) value;
SELECT test.fails(format('SELECT oms.create_shipment(%L, NULL, test.key(), metadata => to_jsonb(repeat(''x'', 65536)))', :'z'), 'OM001', 'metadata that is a document');
-- One sku in several lines: they are filled from the first on, and sums beyond all numbers are none.
SELECT order_id AS y FROM oms.create_order('shipper', 'EUR', '[{"sku": "s", "qty": 2, "price_minor": 1}, {"sku": "t", "qty": 9223372036854775807, "price_minor": 0}, {"sku": "s", "qty": 2, "price_minor": 1},
    {"sku": "t", "qty": 9223372036854775807, "price_minor": 0}]', test.key()) \gset
SELECT status FROM oms.force_order(:'y', 'confirmed', 'x', 'ann', test.key());
SELECT items FROM oms.create_shipment(:'y', '[{"sku": "s", "qty": 3}, {"line_no": 2}]', test.key());
SELECT ship.refused('SELECT oms.create_shipment(%L, ''[{"sku": "s", "qty": 2}]'', test.key())', :'y');
SELECT items FROM oms.create_shipment(:'y', '[{"sku": "t"}]', test.key());
SELECT items FROM oms.create_shipment(:'y', NULL, test.key());
-- What is the commands' own; and states of an owner's: "ship" may lead out of them too.
SELECT test.fails($$SELECT oms.append_events('shipment', 'x', 0, '[{"type": "t", "payload": {}}]')$$, 'OM027', 'events of shipments are the commands'' alone');
SELECT test.fails($$DELETE FROM oms.topic_route WHERE aggregate_type = 'shipment'$$, 'OM027', 'their route is built in');
INSERT INTO oms.order_status (status) VALUES ('packed');
INSERT INTO oms.order_transition (from_status, action, to_status, event_type) VALUES ('confirmed', 'pack', 'packed', 'order.packed'), ('packed', 'ship', 'shipped', 'order.shipped');
SELECT ship.order_at() AS x \gset
SELECT status FROM test.advance(:'x', 'pack');
SELECT ship.make(:'x') AS s \gset
SELECT order_status FROM oms.ship_shipment(:'s', test.key());
DELETE FROM oms.order_transition WHERE NOT builtin;
DELETE FROM oms.order_status WHERE NOT builtin;

-- The checks see what they are for.
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
CREATE FUNCTION ship.violations(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    BEGIN
        EXECUTE change;
        SELECT string_agg(DISTINCT regexp_replace(check_name || ': ' || detail, '\(.*\)', '(...)'), ', ') INTO found FROM oms.check_integrity();
        RAISE SQLSTATE 'TT001' USING MESSAGE = coalesce(found, 'nothing');
    EXCEPTION WHEN SQLSTATE 'TT001' THEN
        RETURN SQLERRM;
    END;
END $$;
SELECT ship.violations(format(change, :'a')) FROM (VALUES
    ($$UPDATE oms.shipment_item SET qty = 4 WHERE order_id = %L AND line_no = 1$$),
    ($$UPDATE oms.shipment_item SET qty = 2 WHERE order_id = %L AND line_no = 1$$),
    ($$DELETE FROM oms.shipment_item WHERE order_id = %L$$),
    ($$UPDATE oms.shipment SET status = 'shipped', delivered_at = NULL WHERE order_id = %L$$),
    ($$UPDATE oms.shipment SET status = 'created', delivered_at = NULL, shipped_at = NULL WHERE order_id = %L$$)) v(change);
SELECT oms.set_fulfilment_policy('{"queue": "payments"}') ->> 'queue';
SET client_min_messages = warning;
DROP SCHEMA ship CASCADE;
