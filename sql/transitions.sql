-- Goal: an order goes exactly where the machine says, its money with it, and each step is told by its event.
-- Method: every status x every action x held or not, driven through SQL and compared with a table written down here independently of the code.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

CREATE TEMP TABLE status (status text, ordinality serial);
INSERT INTO status (status) VALUES ('pending'), ('reserved'), ('paid'), ('confirmed'), ('shipped'), ('completed'), ('canceled'), ('refunded');
CREATE TEMP TABLE action AS SELECT unnest('{reserve, pay, confirm, ship, complete, cancel, refund}'::text[]) AS action;

-- What is legal; all else is not. paid and refunded are what the order (total 2500) shows afterwards.
CREATE TEMP TABLE legal (status text, action text, next text, hold_blocks boolean, paid bigint, refunded bigint, events text[]);
INSERT INTO legal VALUES
    ('pending',   'reserve',  'reserved',  true,  0,    0,    '{order.reserved}'),
    ('pending',   'cancel',   'canceled',  false, 0,    0,    '{order.canceled}'),
    ('reserved',  'pay',      'paid',      true,  2500, 0,    '{order.paid}'),
    ('reserved',  'cancel',   'canceled',  false, 0,    0,    '{order.canceled}'),
    ('paid',      'confirm',  'confirmed', false, 2500, 0,    '{order.confirmed}'),
    ('paid',      'cancel',   'canceled',  false, 2500, 2500, '{order.refunded, order.canceled}'),
    ('paid',      'refund',   'refunded',  false, 2500, 2500, '{order.refunded}'),
    ('confirmed', 'ship',     'shipped',   true,  2500, 0,    '{order.shipped}'),
    ('confirmed', 'cancel',   'canceled',  false, 2500, 2500, '{order.refunded, order.canceled}'),
    ('confirmed', 'refund',   'refunded',  false, 2500, 2500, '{order.refunded}'),
    ('shipped',   'complete', 'completed', false, 2500, 0,    '{order.completed}'),
    ('shipped',   'refund',   'refunded',  false, 2500, 2500, '{order.refunded}'),
    ('completed', 'refund',   'refunded',  false, 2500, 2500, '{order.refunded}');

CREATE TEMP TABLE seen (status text, action text, held boolean, state text, next text, version_step int, paid bigint, refunded bigint,
                        on_hold boolean, events text[], prev_statuses text[], statuses text[], reasons text[], timeline_step bigint);

-- An order for each cell, the action on it, and what has become of it.
DO $$
DECLARE
    cell record;
    id uuid;
    ended record;
    before oms.orders;
    after oms.orders;
BEGIN
    FOR cell IN SELECT s.status, a.action, h.held FROM status s, action a, (VALUES (false), (true)) h(held)
                WHERE NOT (h.held AND s.status IN ('canceled', 'refunded')) LOOP
        id := test.make_order(cell.status);
        IF cell.held THEN PERFORM oms.hold_order(id, 'fraud check', test.key()); END IF;
        SELECT * INTO before FROM oms.orders WHERE order_id = id;
        ended := test.outcome(format('SELECT oms.advance_order(%L, %L, %L, reason => %L)', id, cell.action, test.key(), 'because'));
        SELECT * INTO after FROM oms.orders WHERE order_id = id;
        INSERT INTO seen SELECT cell.status, cell.action, cell.held, ended.state, after.status, after.version - before.version, after.paid_minor,
            after.refunded_minor, after.on_hold,
            coalesce(array_agg(type ORDER BY seq) FILTER (WHERE seq > before.last_seq), '{}'),
            array_agg(DISTINCT prev_status) FILTER (WHERE seq > before.last_seq), array_agg(DISTINCT t.status) FILTER (WHERE seq > before.last_seq),
            array_agg(DISTINCT reason) FILTER (WHERE seq > before.last_seq), after.last_seq - before.last_seq
        FROM oms.order_timeline(id) t;
    END LOOP;
END $$;

SELECT test.equal(count(*), 2 * 8 * 7 - 2 * 7::bigint, 'every cell was tried') FROM seen;
SELECT test.nothing($$SELECT s.* FROM seen s JOIN legal l USING (status, action) WHERE NOT (s.held AND l.hold_blocks)
    AND (s.state, s.next, s.version_step, s.paid, s.refunded, s.on_hold) IS DISTINCT FROM ('00000', l.next, 1, l.paid, l.refunded, s.held AND l.next NOT IN ('canceled', 'refunded'))$$,
    'what is legal leads where it should, with the money it should');
SELECT test.nothing($$SELECT s.* FROM seen s JOIN legal l USING (status, action) WHERE NOT (s.held AND l.hold_blocks)
    AND (s.events, s.prev_statuses, s.statuses, s.reasons, s.timeline_step) IS DISTINCT FROM
        (l.events, ARRAY[s.status], ARRAY[l.next], ARRAY['because'], cardinality(l.events)::bigint)$$,
    'each step is told with the status before and after and the reason');
SELECT test.nothing($$SELECT s.* FROM seen s JOIN legal l USING (status, action) WHERE s.held AND l.hold_blocks
    AND (s.state, s.next, s.version_step, s.events) IS DISTINCT FROM ('OM004', s.status, 0, '{}'::text[])$$, 'a hold blocks reserve, pay and ship');
SELECT test.nothing($$SELECT s.* FROM seen s LEFT JOIN legal l USING (status, action) WHERE l.status IS NULL
    AND (s.state, s.next, s.version_step, s.events) IS DISTINCT FROM ('OM003', s.status, 0, '{}'::text[])$$, 'everything else is refused and changes nothing');

-- An error says what would be legal now.
SELECT replace(o.message, id::text, 'ORDER') AS message, o.detail, o.hint FROM (SELECT test.make_order('paid') AS id) made,
    LATERAL test.outcome(format('SELECT test.advance(%L, %L)', id, 'ship')) o;

-- The named forms are advance_order under another name.
SELECT test.make_order('pending') AS a, test.make_order('confirmed') AS b, test.make_order('shipped') AS c \gset
SELECT status FROM oms.cancel_order(:'a', 'changed his mind', 'named-1');
SELECT status FROM oms.ship_order(:'b', 'named-2', payload => '{"carrier": "DHL"}');
SELECT status FROM oms.complete_order(:'c', 'named-3', payload => '{"signed_by": "ann"}');
SELECT seq, type, prev_status, status, reason, payload -> 'data' AS data FROM oms.order_timeline(:'a') WHERE seq > 1;
SELECT seq, type, prev_status, status, reason, payload -> 'data' AS data FROM oms.order_timeline(:'b') WHERE seq > 4;
SELECT seq, type, prev_status, status, reason, payload -> 'data' AS data FROM oms.order_timeline(:'c') WHERE seq > 5;
SELECT status, replayed FROM oms.advance_order(:'b', 'ship', 'named-2', payload => '{"carrier": "DHL"}');

-- What the events of money say beside the transition.
SELECT test.make_order('confirmed') AS m \gset
SELECT status FROM oms.cancel_order(:'m', 'lost', test.key());
SELECT seq, type, payload - '{order_id, occurred_at}'::text[] AS payload FROM oms.order_timeline(:'m') WHERE seq IN (3, 5, 6);

-- What was refunded in part is not refunded again by a cancellation; what was refunded wholly makes no second event.
SELECT test.make_order('paid') AS p \gset
SELECT refunded_minor, status FROM oms.refund_order(:'p', 2000, 'broken', test.key());
SELECT refunded_minor, status FROM oms.cancel_order(:'p', 'all of it', test.key());
SELECT seq, type, payload -> 'amount_minor' AS amount, payload -> 'refunded_minor' AS refunded FROM oms.order_timeline(:'p') WHERE seq > 3;

-- A free order goes the same way.
SELECT order_id AS f FROM oms.create_order('c', 'EUR', '[{"sku": "free", "qty": 1, "price_minor": 0}]', test.key()) \gset
SELECT status, paid_minor FROM test.advance(:'f', 'reserve');
SELECT status, paid_minor FROM test.advance(:'f', 'pay');
SELECT status, refunded_minor FROM test.advance(:'f', 'refund');

-- expected_version
SELECT test.make_order() AS v \gset
SELECT status, version FROM oms.advance_order(:'v', 'reserve', test.key(), expected_version => 0);
SELECT test.fails(format($$SELECT oms.advance_order(%L, 'pay', test.key(), expected_version => 0)$$, :'v'), 'OM006', 'a version of before');
SELECT test.fails(format($$SELECT oms.advance_order(%L, 'pay', test.key(), expected_version => 2)$$, :'v'), 'OM006', 'a version to come');
SELECT test.fails(format($$SELECT oms.advance_order(%L, 'pay', test.key(), expected_version => -1)$$, :'v'), 'OM006', 'a version that never is');
SELECT status, version FROM oms.advance_order(:'v', 'pay', test.key(), expected_version => 1);

-- Several commands on one order in one statement see each other; versions and seq have no gap.
SELECT test.make_order() AS w \gset
SELECT array_agg(status) FROM unnest('{reserve, pay, confirm, ship, complete}'::text[]) a, LATERAL (SELECT status FROM oms.advance_order(:'w', a, test.key())) s;
SELECT version, last_seq FROM oms.orders WHERE order_id = :'w';

-- A clock that was set back does not disturb the order of the timeline.
SET oms.now_override = '2001-01-01 00:00:00+00';
SELECT status FROM test.advance(:'w', 'refund');
RESET oms.now_override;
SELECT test.equal(test.timeline(:'w'), '{order.created,order.reserved,order.paid,order.confirmed,order.shipped,order.completed,order.refunded}'::text[], 'the timeline');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
