-- The PL/pgSQL twins of oms.create_order and oms.advance_order: the same checks, rows, events and answers, written as one would write them well
-- in PL/pgSQL, set-oriented and without dynamic SQL. A key that is used twice at once ends in unique_violation at the last INSERT and is to be
-- repeated by the caller; ours waits.

-- The headers of an event, from the same settings.
CREATE FUNCTION rival.event_headers() RETURNS jsonb
    LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
               'schema_version', 1,
               'correlation_id', nullif(current_setting('oms.correlation_id', true), ''),
               'causation_id', nullif(current_setting('oms.causation_id', true), ''),
               'traceparent', nullif(current_setting('oms.traceparent', true), ''),
               'actor', nullif(current_setting('oms.actor', true), '')))
$$;

CREATE FUNCTION rival.create_order(customer_id text, currency text, items jsonb, idempotency_key text,
                                   external_ref text DEFAULT NULL, metadata jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    request_fingerprint uuid;
    known               rival.idempotency_key;
    answer              oms.order_state;
    event_id            bigint;
    topic               text;
    items_valid         boolean;
    total               bigint;
BEGIN
    IF idempotency_key IS NULL OR octet_length(idempotency_key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'an idempotency key of 1 to 255 bytes is required';
    END IF;
    request_fingerprint := md5(ROW('create_order', customer_id, currency, items, external_ref, metadata)::text)::uuid;
    SELECT k.* INTO known FROM rival.idempotency_key k
     WHERE k.key = idempotency_key AND k.created_at > clock_timestamp() - interval '24 hours';
    IF FOUND THEN
        IF known.fingerprint <> request_fingerprint THEN
            RAISE EXCEPTION 'idempotency key % was used for another request', idempotency_key;
        END IF;
        answer := convert_from(known.answer, 'UTF8')::oms.order_state;
        answer.replayed := true;
        RETURN answer;
    END IF;

    IF customer_id IS NULL OR octet_length(customer_id) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'customer_id must be 1 to 255 bytes long';
    END IF;
    IF currency IS NULL OR currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency is not a currency';
    END IF;
    IF octet_length(external_ref) NOT BETWEEN 1 AND 255 OR pg_column_size(metadata) > 65536 THEN
        RAISE EXCEPTION 'external_ref or metadata is too large';
    END IF;
    IF items IS NULL OR jsonb_typeof(items) <> 'array' OR jsonb_array_length(items) NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'items must be an array of 1 to 100000 items';
    END IF;
    SELECT coalesce(bool_and(octet_length(sku) BETWEEN 1 AND 255 AND qty >= 1 AND price_minor >= 0
                             AND coalesce(i.currency, create_order.currency) = create_order.currency), false),
           sum(qty * price_minor)
      INTO items_valid, total
      FROM jsonb_to_recordset(items) i (sku text, qty bigint, price_minor bigint, currency text);
    IF NOT items_valid THEN
        RAISE EXCEPTION 'an item is not valid';
    END IF;

    answer.created_at := date_trunc('milliseconds', clock_timestamp());
    answer.updated_at := answer.created_at;
    answer.order_id := rival.new_order_id(answer.created_at);
    answer.status := 'pending';
    answer.version := 0;
    answer.customer_id := customer_id;
    answer.currency := currency;
    answer.total_minor := total;
    answer.paid_minor := 0;
    answer.refunded_minor := 0;
    answer.on_hold := false;
    answer.replayed := false;
    event_id := nextval('rival.event_id_seq');
    SELECT r.topic INTO topic FROM oms.topic_route r WHERE r.aggregate_type = 'order' AND r.type = 'order.created';
    IF NOT FOUND THEN
        SELECT r.topic INTO topic FROM oms.topic_route r WHERE r.aggregate_type = 'order' AND r.type = '*';
    END IF;

    INSERT INTO rival.orders
    VALUES (answer.order_id, customer_id, 'pending', false, NULL, NULL, currency, total, 0, 0, 0, external_ref, metadata,
            answer.created_at, answer.created_at, 1, event_id, event_id);
    INSERT INTO rival.order_item
    SELECT answer.order_id, answer.created_at, line_no, i ->> 'sku', (i ->> 'qty')::bigint, (i ->> 'price_minor')::bigint,
           nullif(i - '{sku, qty, price_minor}'::text[], '{}')
      FROM jsonb_array_elements(items) WITH ORDINALITY AS item (i, line_no);
    INSERT INTO rival.event
    VALUES (event_id, pg_current_xact_id(), 'order', answer.order_id::text, 1, 'order.created', topic,
            answer.order_id::text,
            jsonb_build_object('order_id', answer.order_id, 'prev_status', NULL, 'status', 'pending', 'reason', NULL, 'version', 0,
                               'occurred_at', answer.created_at, 'customer_id', customer_id, 'currency', currency,
                               'total_minor', total, 'items', items)
                || CASE WHEN external_ref IS NULL THEN '{}' ELSE jsonb_build_object('external_ref', external_ref) END,
            rival.event_headers(), answer.created_at);
    INSERT INTO rival.idempotency_key
    VALUES (hashtextextended(idempotency_key, 0), answer.created_at, request_fingerprint, 'create_order', idempotency_key,
            convert_to(answer::text, 'UTF8'));
    RETURN answer;
END $$;

CREATE FUNCTION rival.advance_order(order_id uuid, action text, idempotency_key text, expected_version integer DEFAULT NULL,
                                    reason text DEFAULT NULL, payload jsonb DEFAULT NULL)
    RETURNS oms.order_state
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    request_fingerprint uuid;
    known               rival.idempotency_key;
    found_order         rival.orders;
    transition          oms.order_transition;
    answer              oms.order_state;
    event_id            bigint;
    topic               text;
BEGIN
    IF idempotency_key IS NULL OR octet_length(idempotency_key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'an idempotency key of 1 to 255 bytes is required';
    END IF;
    IF octet_length(reason) > 2000 THEN
        RAISE EXCEPTION 'reason is too long';
    END IF;
    request_fingerprint := md5(ROW('advance_order', order_id, action, reason, payload)::text)::uuid;
    SELECT k.* INTO known FROM rival.idempotency_key k
     WHERE k.key = idempotency_key AND k.created_at > clock_timestamp() - interval '24 hours';
    IF FOUND THEN
        IF known.fingerprint <> request_fingerprint THEN
            RAISE EXCEPTION 'idempotency key % was used for another request', idempotency_key;
        END IF;
        answer := convert_from(known.answer, 'UTF8')::oms.order_state;
        answer.replayed := true;
        RETURN answer;
    END IF;

    SELECT o.* INTO found_order FROM rival.orders o WHERE o.order_id = advance_order.order_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'order % does not exist', order_id;
    END IF;
    IF expected_version <> found_order.version THEN
        RAISE EXCEPTION 'order % is not at version %', order_id, expected_version;
    END IF;
    IF found_order.pending_action IS NOT NULL THEN
        RAISE EXCEPTION 'another operation has order %', order_id;
    END IF;
    SELECT t.* INTO transition FROM oms.order_transition t
     WHERE t.from_status = found_order.status AND t.action = advance_order.action;
    IF NOT FOUND OR (found_order.on_hold AND transition.blocked_by_hold) THEN
        RAISE EXCEPTION 'order % cannot %', order_id, action;
    END IF;

    event_id := nextval('rival.event_id_seq');
    SELECT r.topic INTO topic FROM oms.topic_route r WHERE r.aggregate_type = 'order' AND r.type = transition.event_type;
    IF NOT FOUND THEN
        SELECT r.topic INTO topic FROM oms.topic_route r WHERE r.aggregate_type = 'order' AND r.type = '*';
    END IF;
    UPDATE rival.orders o
       SET status = transition.to_status, version = o.version + 1, updated_at = clock_timestamp(), last_seq = o.last_seq + 1,
           last_event_id = event_id,
           paid_minor = CASE transition.effect WHEN 'pay_in_full' THEN o.total_minor ELSE o.paid_minor END,
           refunded_minor = CASE transition.effect WHEN 'refund_rest' THEN o.paid_minor ELSE o.refunded_minor END
     WHERE o.order_id = advance_order.order_id AND o.created_at = found_order.created_at
    RETURNING o.order_id, o.status, o.version, o.customer_id, o.currency, o.total_minor, o.paid_minor, o.refunded_minor,
              o.on_hold, o.pending_action, o.created_at, o.updated_at, false
         INTO answer;
    INSERT INTO rival.event
    VALUES (event_id, pg_current_xact_id(), 'order', order_id::text, found_order.last_seq + 1, transition.event_type,
            topic, order_id::text,
            jsonb_build_object('order_id', order_id, 'prev_status', found_order.status, 'status', answer.status, 'reason', reason,
                               'version', answer.version, 'occurred_at', answer.updated_at)
                || CASE transition.effect
                       WHEN 'pay_in_full' THEN jsonb_build_object('paid_minor', answer.paid_minor, 'currency', answer.currency)
                       ELSE '{}' END
                || CASE WHEN payload IS NULL THEN '{}' ELSE jsonb_build_object('data', payload) END,
            rival.event_headers(), answer.updated_at);
    INSERT INTO rival.idempotency_key
    VALUES (hashtextextended(idempotency_key, 0), answer.updated_at, request_fingerprint, 'advance_order', idempotency_key,
            convert_to(answer::text, 'UTF8'));
    RETURN answer;
END $$;
