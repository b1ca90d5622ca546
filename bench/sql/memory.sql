-- What a backend holds after :early and after :late orders in one session. With `client` on, every call is a statement that comes through libpq
-- and commits by itself; otherwise the calls are made inside the server. Prints early and late, in kB: memory contexts, private memory.
SET synchronous_commit = off;
SELECT pg_backend_pid() AS pid \gset
\ir memory_sample.sql
\set first 1
\set last :early
\ir memory_calls.sql
\ir memory_sample.sql
\echo measured :early :contexts :private
SELECT :early + 1 AS first \gset
\set last :late
\ir memory_calls.sql
\ir memory_sample.sql
\echo measured :late :contexts :private
SELECT bench.holds('oms', :late);
