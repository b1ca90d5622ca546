-- The shop that the rivals of the case `whole_order` get: tables and functions as one writes them by hand beside a queue or a workflow engine. One
-- call and so one round trip for each step; each takes many orders at once, so that an engine that hands out batches has the good of it. A step that
-- comes twice does nothing the second time. Generic plans: planning an array's statement anew in each call would cost more than running it. What the functions record is what oms records of orders, goods and money; what happens to a workflow
-- is the engine's to record.
CREATE SCHEMA shop;

CREATE TABLE shop.orders (
    order_id uuid PRIMARY KEY, customer_id text NOT NULL, currency text NOT NULL, status text NOT NULL, total_minor bigint NOT NULL,
    paid_minor bigint NOT NULL DEFAULT 0, version int NOT NULL DEFAULT 0, idempotency_key text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX ON shop.orders (customer_id, created_at);
CREATE TABLE shop.order_item (
    order_id uuid NOT NULL, line int NOT NULL, sku text NOT NULL, qty bigint NOT NULL, price_minor bigint NOT NULL, PRIMARY KEY (order_id, line)
);
CREATE TABLE shop.stock (
    sku text PRIMARY KEY, on_hand bigint NOT NULL, reserved bigint NOT NULL DEFAULT 0, CHECK (reserved BETWEEN 0 AND on_hand)
) WITH (fillfactor = 50);
CREATE TABLE shop.reservation (
    order_id uuid NOT NULL, sku text NOT NULL, qty bigint NOT NULL, status text NOT NULL DEFAULT 'held', PRIMARY KEY (order_id, sku)
) WITH (fillfactor = 80);
CREATE TABLE shop.payment (
    payment_id uuid PRIMARY KEY, order_id uuid NOT NULL UNIQUE, status text NOT NULL, amount_minor bigint NOT NULL,
    authorized_minor bigint NOT NULL DEFAULT 0, captured_minor bigint NOT NULL DEFAULT 0, provider_ref text, version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (captured_minor <= authorized_minor AND authorized_minor <= amount_minor)
) WITH (fillfactor = 80);
CREATE TABLE shop.ledger (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payment_id uuid NOT NULL, account text NOT NULL, amount_minor bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON shop.ledger (payment_id);
CREATE TABLE shop.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, aggregate_id uuid NOT NULL, type text NOT NULL, payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz
);
CREATE INDEX ON shop.outbox (id) WHERE sent_at IS NULL;

INSERT INTO shop.stock SELECT 'SKU-' || i, 1000000000 FROM generate_series(1, :skus) i;

-- An id that grows with time, as those of oms do.
CREATE FUNCTION shop.new_order_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 'hex')::uuid
$$;

-- Creates the order and reserves all of its items, or none.
CREATE FUNCTION shop.checkout(customer text, currency text, items jsonb, key text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made CONSTANT uuid := shop.new_order_id();
    known uuid;
    total bigint;
    item record;
BEGIN
    SELECT sum(qty * price_minor) INTO total FROM jsonb_to_recordset(items) i(qty bigint, price_minor bigint);
    INSERT INTO shop.orders (order_id, customer_id, currency, status, total_minor, version, idempotency_key)
    VALUES (made, customer, currency, 'reserved', total, 2, key) ON CONFLICT (idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        SELECT order_id INTO known FROM shop.orders WHERE idempotency_key = key;
        RETURN known;
    END IF;
    INSERT INTO shop.order_item SELECT made, line, i.sku, i.qty, i.price_minor
    FROM ROWS FROM (jsonb_to_recordset(items) AS (sku text, qty bigint, price_minor bigint)) WITH ORDINALITY i(sku, qty, price_minor, line);
    FOR item IN SELECT i.sku, sum(i.qty)::bigint AS qty FROM jsonb_to_recordset(items) i(sku text, qty bigint) GROUP BY i.sku ORDER BY i.sku LOOP
        UPDATE shop.stock s SET reserved = s.reserved + item.qty WHERE s.sku = item.sku AND s.on_hand - s.reserved >= item.qty;
        IF NOT FOUND THEN RAISE EXCEPTION 'too little of %', item.sku; END IF;
        INSERT INTO shop.reservation (order_id, sku, qty) VALUES (made, item.sku, item.qty);
    END LOOP;
    INSERT INTO shop.payment (payment_id, order_id, status, amount_minor) VALUES (gen_random_uuid(), made, 'initiated', total);
    INSERT INTO shop.outbox (topic, aggregate_id, type, payload) VALUES
        ('orders', made, 'order.created', jsonb_build_object('order_id', made, 'customer_id', customer, 'currency', currency, 'total_minor', total, 'items', items, 'status', 'pending')),
        ('orders', made, 'inventory.reserved', jsonb_build_object('order_id', made, 'items', items, 'status', 'reserved', 'prev_status', 'pending')),
        ('orders', made, 'order.reserved', jsonb_build_object('order_id', made, 'status', 'reserved', 'prev_status', 'pending')),
        ('payments', made, 'payment.initiated', jsonb_build_object('order_id', made, 'amount_minor', total, 'currency', currency, 'status', 'initiated'));
    RETURN made;
END $$;

-- Records the provider's answers to authorizations.
CREATE FUNCTION shop.authorized(orders uuid[], refs text[]) RETURNS SETOF uuid
    LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    WITH done AS (
        UPDATE shop.payment p SET status = 'capture_pending', authorized_minor = p.amount_minor, provider_ref = a.ref, version = 3, updated_at = now()
        FROM unnest(orders, refs) a(order_id, ref) WHERE p.order_id = a.order_id AND p.status = 'initiated'
        RETURNING p.order_id, p.amount_minor, p.provider_ref
    )
    INSERT INTO shop.outbox (topic, aggregate_id, type, payload)
    SELECT 'payments', order_id, 'payment.' || status, jsonb_build_object('order_id', order_id, 'amount_minor', amount_minor, 'provider_ref', provider_ref, 'status', status)
    FROM done CROSS JOIN (VALUES ('authorized'), ('capture_requested')) s(status);
    RETURN QUERY SELECT unnest(orders);
END $$;

-- Records the provider's answers to captures, takes the goods from the shelf and confirms the orders.
CREATE FUNCTION shop.captured(orders uuid[]) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    fresh uuid[];
    item record;
BEGIN
    WITH done AS (
        UPDATE shop.payment p SET status = 'captured', captured_minor = p.authorized_minor, version = 4, updated_at = now()
        WHERE p.order_id = ANY (orders) AND p.status = 'capture_pending'
        RETURNING p.order_id, p.payment_id, p.captured_minor
    ), booked AS (
        INSERT INTO shop.ledger (payment_id, account, amount_minor)
        SELECT payment_id, account, sign * captured_minor FROM done CROSS JOIN (VALUES ('provider', 1), ('customer', -1)) s(account, sign)
    ), confirmed AS (
        UPDATE shop.orders o SET status = 'confirmed', paid_minor = d.captured_minor, version = 4, updated_at = now()
        FROM done d WHERE o.order_id = d.order_id
    ), told AS (
        INSERT INTO shop.outbox (topic, aggregate_id, type, payload)
        SELECT s.topic, order_id, s.type, jsonb_build_object('order_id', order_id, 'paid_minor', captured_minor, 'status', s.status, 'prev_status', s.prev)
        FROM done CROSS JOIN (VALUES ('payments', 'payment.captured', 'captured', 'capture_pending'), ('orders', 'order.paid', 'paid', 'reserved'),
                                     ('orders', 'order.confirmed', 'confirmed', 'paid')) s(topic, type, status, prev)
    )
    SELECT array_agg(order_id) INTO fresh FROM done;
    -- In the order of the sku, so that two batches never wait for each other in a circle.
    FOR item IN SELECT sku, sum(qty)::bigint AS qty FROM shop.reservation WHERE order_id = ANY (fresh) GROUP BY sku ORDER BY sku LOOP
        UPDATE shop.stock SET on_hand = on_hand - item.qty, reserved = reserved - item.qty WHERE sku = item.sku;
    END LOOP;
    UPDATE shop.reservation SET status = 'consumed' WHERE order_id = ANY (fresh);
END $$;

-- Orders that are there before, so that nobody's plans are made for empty tables.
DO $$
DECLARE
    ids uuid[];
BEGIN
    SELECT array_agg(shop.checkout('customer-' || n, 'EUR', jsonb_build_array(
               jsonb_build_object('sku', 'SKU-' || n % 5000 + 1, 'qty', 2, 'price_minor', 10000),
               jsonb_build_object('sku', 'SKU-' || n % 5000 + 5001, 'qty', 1, 'price_minor', 2500)), 'fill-' || n)) INTO ids
    FROM generate_series(1, current_setting('bench.fill')::int) n;
    PERFORM shop.authorized(ids, array_fill('ch_fill'::text, ARRAY[cardinality(ids)]));
    PERFORM shop.captured(ids);
END $$;
