-- The requests of create_orders, 1,000 orders each, as text: what a client would send. Run with batches=...
CREATE UNLOGGED TABLE bench.batch (turn bigint PRIMARY KEY, orders text NOT NULL);
ALTER TABLE bench.batch ALTER orders SET STORAGE EXTERNAL;
INSERT INTO bench.batch
SELECT turn, jsonb_agg(jsonb_build_object('customer_id', bench.customer(turn * 1000 + n), 'currency', 'EUR', 'items', bench.items(),
                                          'idempotency_key', 'batch-' || turn * 1000 + n))::text
  FROM generate_series(1, :batches) turn CROSS JOIN generate_series(0, 999) n GROUP BY turn;
CREATE SEQUENCE bench.next_turn;
VACUUM ANALYZE bench.batch;
