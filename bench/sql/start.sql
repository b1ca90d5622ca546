-- Starts the clock of one measured stretch: wall time, the backend's own processor time (0 where the kernel does not tell), WAL.
SELECT pg_backend_pid() AS pid \gset
SELECT pg_current_wal_insert_lsn() AS lsn, clock_timestamp() AS began \gset
\set cpu_began `cut -d' ' -f1 /proc/:pid/schedstat || echo 0`
