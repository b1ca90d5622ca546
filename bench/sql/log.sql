-- Filling the log without the orders that belong to it, and the rivals' queues with the same events.

-- n events like those of the fill, each of an order of its own; a transaction for a thousand of them. The transaction's id is assigned before the first
-- event's id is drawn, as the readers' bounds want it.
CREATE PROCEDURE bench.append(n bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    per_transaction CONSTANT bigint := (SELECT least(1000, count(*)) FROM bench.fill_event);
BEGIN
    FOR done IN 0 .. n - 1 BY per_transaction LOOP
        PERFORM pg_current_xact_id();
        INSERT INTO oms.event
        SELECT nextval('oms.event_id_seq'), pg_current_xact_id(), aggregate_type, order_id, seq, type, topic, order_id,
               jsonb_set(payload, '{order_id}', to_jsonb(order_id)), headers, clock_timestamp()
          FROM (SELECT e.*, rival.new_order_id(date_trunc('milliseconds', clock_timestamp()))::text AS order_id
                  FROM bench.fill_event e LIMIT least(per_transaction, n - done)) made;
        COMMIT;
    END LOOP;
END $$;

-- The outbox with a status column, as it is usually written: the index holds what is to be sent, and only that.
CREATE TABLE rival.outbox (
    id             bigint PRIMARY KEY,
    aggregate_type text NOT NULL,
    aggregate_id   text NOT NULL,
    seq            bigint NOT NULL,
    type           text NOT NULL,
    topic          text NOT NULL,
    key            text NOT NULL,
    payload        jsonb NOT NULL,
    headers        jsonb NOT NULL,
    occurred_at    timestamptz NOT NULL,
    status         text NOT NULL DEFAULT 'pending',
    sent_at        timestamptz
);
CREATE INDEX outbox_pending ON rival.outbox (id) WHERE status = 'pending';

CREATE PROCEDURE bench.fill_outbox()
    LANGUAGE sql AS $$
    TRUNCATE rival.outbox;
    INSERT INTO rival.outbox
    SELECT id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at FROM oms.event ORDER BY id;
$$;

CREATE PROCEDURE bench.fill_pgmq()
    LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE pgmq.q_events;
    INSERT INTO pgmq.q_events (vt, message, headers)
    SELECT clock_timestamp(), payload, jsonb_build_object('aggregate_type', aggregate_type, 'aggregate_id', aggregate_id, 'seq', seq, 'type', type,
                                                          'topic', topic, 'key', key, 'headers', headers, 'occurred_at', occurred_at)
      FROM oms.event ORDER BY id;
END $$;

-- An order whose event also goes to the outbox, in the same transaction: the same message, carried the rival's way.
CREATE FUNCTION rival.place_order(customer text, items jsonb, key text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    placed text;
BEGIN
    SELECT order_id INTO placed FROM oms.create_order(customer, 'EUR', items, key);
    INSERT INTO rival.outbox
    SELECT id, aggregate_type, aggregate_id, e.seq, type, topic, e.key, payload, headers, occurred_at FROM oms.event e WHERE aggregate_id = placed;
    RETURN placed;
END $$;

CREATE FUNCTION rival.place_order_and_notify(customer text, items jsonb, key text) RETURNS text
    LANGUAGE sql AS $$
    SELECT pg_notify('rival', '');
    SELECT rival.place_order(customer, items, key);
$$;
