-- Stops the clock and prints, for each of the :n pieces of work since start.sql: microseconds, processor microseconds, bytes of WAL.
SELECT clock_timestamp() AS ended, pg_current_wal_insert_lsn() AS lsn_ended \gset
\set cpu_ended `cut -d' ' -f1 /proc/:pid/schedstat || echo 0`
SELECT 'measured', extract(epoch FROM :'ended'::timestamptz - :'began') * 1e6 / :n, (:cpu_ended - :cpu_began) / 1e3 / :n,
       (:'lsn_ended'::pg_lsn - :'lsn') / :n;
