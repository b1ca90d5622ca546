-- :n orders by the PL/pgSQL twin in one statement; compare create_order.sql.
BEGIN;
SELECT count(made) FROM (SELECT rival.create_order(bench.customer(n), 'EUR', bench.items(), 'bench-' || n) AS made
                           FROM generate_series(1, 100) n) warmed;
ROLLBACK;
BEGIN;
\ir start.sql
SELECT count(made) FROM (SELECT rival.create_order(bench.customer(n), 'EUR', bench.items(), 'bench-' || n) AS made
                           FROM generate_series(1, :n) n) measured;
\ir stop.sql
COMMIT;
SELECT bench.holds('rival', :n);
