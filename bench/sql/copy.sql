-- Events a second of COPY: what a relay reads of the log, written to nowhere by the server, and sent to a client that throws it away. Run with n=...
\o /dev/null
SELECT clock_timestamp() AS began \gset
COPY (SELECT id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at FROM oms.event WHERE topic IS NOT NULL) TO '/dev/null';
SELECT :n / extract(epoch FROM clock_timestamp() - :'began') AS nowhere, clock_timestamp() AS began \gset
COPY (SELECT id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at FROM oms.event WHERE topic IS NOT NULL) TO STDOUT;
SELECT :n / extract(epoch FROM clock_timestamp() - :'began') AS client \gset
\o
SELECT 'measured', :nowhere, :client;
