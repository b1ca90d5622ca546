-- What the tests do as producers, on a server that has the extension oms. The counterpart of the end of stand_in.sql.
CREATE EXTENSION oms;
CREATE SCHEMA worker_test;
CREATE FUNCTION worker_test.append(aggregate text, topic text, payload jsonb DEFAULT '{}', headers jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE sql AS $$
    SELECT last_id FROM oms.append_events('worker_test', aggregate, NULL, jsonb_build_array(jsonb_build_object(
        'type', 'order.created', 'topic', topic, 'payload', payload, 'headers', headers))) $$;
CREATE FUNCTION worker_test.set_policy(topic text, on_reject text, receipts boolean) RETURNS void LANGUAGE sql AS
    'SELECT oms.set_topic_policy(topic, on_reject, receipts)';
CREATE FUNCTION worker_test.pending(reader text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT lag_events FROM oms.reader_status(reader) $$;
CREATE FUNCTION worker_test.receipts() RETURNS TABLE (event_id bigint, topic text, partition int, "offset" bigint, broker_time timestamptz)
    LANGUAGE sql AS $$ SELECT event_id, topic, partition, "offset", broker_time FROM oms.receipt $$;
CREATE FUNCTION worker_test.set_timer(delay interval) RETURNS void LANGUAGE sql AS
    $$ SELECT FROM oms.create_task('worker_test', 'tick', idempotency_key => gen_random_uuid()::text, run_at => clock_timestamp() + delay) $$;
