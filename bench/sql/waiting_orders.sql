-- :n orders placed and their payment begun, in one statement. A few before it, rolled back, so that caches are warm.
BEGIN;
SELECT count(bench.place(n, 'warm-' || n)) FROM generate_series(1, 100) n;
ROLLBACK;
BEGIN;
\ir start.sql
SELECT count(bench.place(n, :'round' || '-' || n)) FROM generate_series(1, :n) n;
\ir stop.sql
COMMIT;
SELECT 1 / (count(*) = :n)::int FROM oms.orders WHERE external_ref IS NULL AND status = 'reserved' AND created_at >= :'began';
