SELECT coalesce(max(msg_id), 0) AS t FROM pgmq.read('q', 30, 1) \gset
SELECT pgmq.archive('q', :t::bigint);
