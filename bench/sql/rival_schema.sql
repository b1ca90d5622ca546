-- What the rivals write: tables of the shape of ours, in their own schema. Copied from the catalog, so that they stay alike.
CREATE SCHEMA rival;

CREATE TABLE rival.orders (LIKE oms.orders INCLUDING ALL) PARTITION BY RANGE (created_at);
CREATE TABLE rival.orders_default PARTITION OF rival.orders DEFAULT WITH (fillfactor = 80);

CREATE TABLE rival.order_item (LIKE oms.order_item INCLUDING ALL) PARTITION BY RANGE (created_at);
CREATE TABLE rival.order_item_default PARTITION OF rival.order_item DEFAULT;

CREATE TABLE rival.event (LIKE oms.event INCLUDING ALL) PARTITION BY RANGE (id);
CREATE TABLE rival.event_default PARTITION OF rival.event DEFAULT;
CREATE UNIQUE INDEX event_default_seq ON rival.event_default (aggregate_id, seq, aggregate_type);
CREATE SEQUENCE rival.event_id_seq AS bigint CACHE 1;

-- One difference: SQL has no lock on a key that is let go inside the transaction, so uniqueness comes from an index, and hence from a table
-- without partitions. It has as many indexes as ours and saves the rival the routing.
CREATE TABLE rival.idempotency_key (LIKE oms.idempotency_key, UNIQUE (key));

-- An id that grows with time, as ours do: random ids would slow the rivals down for a reason that is not the subject here. The time has to be
-- one of whole milliseconds.
CREATE FUNCTION rival.new_order_id(at timestamptz) RETURNS uuid
    LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
               PLACING substring(int8send((date_part('epoch', at) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;
