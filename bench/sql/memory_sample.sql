-- Prints, in kB, the server's own account of the backend's memory and the private part of the kernel's. Not the resident size: it grows with every
-- shared page that is touched for the first time. Run with calls=...
SELECT pg_backend_pid() AS pid, sum(total_bytes) / 1024 AS contexts FROM pg_backend_memory_contexts \gset
\set private `awk '/^RssAnon/ { print $2 }' /proc/:pid/status`
\echo measured :calls :contexts :private
