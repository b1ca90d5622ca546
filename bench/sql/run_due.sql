-- What oms.run_due costs when :due timers are due: pages touched and microseconds. The session has done it before, so that its caches are warm.
SELECT count(oms.start_saga('bench.moment', '{}', :'round' || '-warm-' || n)) FROM generate_series(1, 10) n;
SELECT pg_sleep(0.01);
SELECT 1 / (oms.run_due(100000) = 10)::int;
SELECT count(oms.start_saga('bench.moment', '{}', :'round' || '-' || n)) FROM generate_series(1, :due) n;
SELECT pg_sleep(0.01);
SELECT 'measured', pages, us FROM bench.run_due();
-- All that was due was done: nothing but the warming and the measured sagas is left completed.
SELECT 1 / (count(*) = 0)::int FROM oms.saga WHERE definition = 'bench.moment' AND status <> 'completed';
