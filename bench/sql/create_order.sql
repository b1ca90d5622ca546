-- :n orders by oms.create_order in one statement. A few before it, rolled back, so that caches are warm.
BEGIN;
SELECT count(made) FROM (SELECT oms.create_order(bench.customer(n), 'EUR', bench.items(), 'bench-' || n) AS made
                           FROM generate_series(1, 100) n) warmed;
ROLLBACK;
BEGIN;
\ir start.sql
SELECT count(made) FROM (SELECT oms.create_order(bench.customer(n), 'EUR', bench.items(), 'bench-' || n) AS made
                           FROM generate_series(1, :n) n) measured;
\ir stop.sql
COMMIT;
SELECT bench.holds('oms', :n);
