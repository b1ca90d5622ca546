-- The server's own account of the memory, and the kernel's. Not the resident size: it grows with every shared page that is touched for the first time.
SELECT sum(total_bytes) / 1024 AS contexts FROM pg_backend_memory_contexts \gset
\set private `awk '/^RssAnon/ { print $2 }' /proc/:pid/status`
