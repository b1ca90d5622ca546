SELECT coalesce(array_agg(msg_id), '{}')::text AS t FROM pgmq.read('q', 30, 100) \gset
SELECT count(*) FROM pgmq.archive('q', :t::bigint[]);
