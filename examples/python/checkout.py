"""A client that repeats what may be repeated, and nothing else.

Its rule: choose the idempotency key once, before the first attempt. Then a repetition is always safe, even when the
connection broke during COMMIT and nobody knows whether the first attempt took effect.
"""

import time

import psycopg2

ATTEMPTS_MAX = 5
REPEAT = {
    "40001",  # serialization failure
    "40P01",  # deadlock
    "OM005",  # operation_in_progress
    "OM009",  # idempotency_in_progress
}
CONNECTION_LOST = ("08", "57P")


def may_repeat(error):
    if error.pgcode is None:  # no answer from the server: the connection is gone
        return True
    return error.pgcode in REPEAT or error.pgcode.startswith(CONNECTION_LOST)


def in_transaction(work):
    """Runs work(cursor) in a transaction of its own, again if the error allows it, and returns what it returned."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        connection = None
        try:
            connection = psycopg2.connect("")
            with connection, connection.cursor() as cursor:  # commits, or rolls back
                return work(cursor)
        except psycopg2.Error as error:
            if not may_repeat(error) or attempt == ATTEMPTS_MAX:
                raise
            time.sleep(0.05 * 2 ** attempt)
        finally:
            if connection is not None:
                connection.close()


def create_order(cart, customer, items):
    def work(cursor):
        cursor.execute("SELECT order_id, total_minor, replayed FROM oms.create_order(%s, 'EUR', %s, idempotency_key => %s)",
                       (customer, items, f"cart-{cart}"))
        return cursor.fetchone()
    return in_transaction(work)


def pay(order_id, cart):
    def work(cursor):
        cursor.execute("SELECT status FROM oms.advance_order(%s, 'reserve', idempotency_key => %s)", (order_id, f"cart-{cart}/reserve"))
        cursor.execute("SELECT status FROM oms.advance_order(%s, 'pay', idempotency_key => %s)", (order_id, f"cart-{cart}/pay"))
        return cursor.fetchone()[0]
    return in_transaction(work)


def main():
    items = '[{"sku": "TEA-100", "qty": 2, "price_minor": 450}]'
    order_id, total, replayed = create_order(1001, "customer-7", items)
    print(f"created, total {total}, replayed {replayed}")

    # As if the answer had been lost: the same call again finds the same order.
    again_id, _, replayed = create_order(1001, "customer-7", items)
    print(f"same order {again_id == order_id}, replayed {replayed}")

    print("status", pay(order_id, 1001))

    # Wrong calls are not repeated; the error says what is wrong.
    try:
        create_order(1002, "customer-7", '[{"sku": "TEA-100", "qty": 0, "price_minor": 450}]')
    except psycopg2.Error as error:
        print(f"{error.pgcode}: {error.diag.message_primary}")
        print(f"  {error.diag.message_detail}")


if __name__ == "__main__":
    main()
