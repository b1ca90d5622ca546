"""Read, decide, call with the version that was read; on a conflict read and decide again.

Here a clerk refunds a tenth of whatever is still open, while somebody else refunds too. Without expected_version the
amount could have been computed from a state that is gone. All attempts share one idempotency key: a refused call leaves
none behind, and if one took effect whose answer was lost, the next attempt, with another amount, is refused with OM008.
"""

import psycopg2

ATTEMPTS_MAX = 5


def query(connection, statement, *arguments):
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchone()


def refund_a_tenth(connection, order_id, key, before_call=lambda: None):
    for _ in range(ATTEMPTS_MAX):
        order = query(connection, "SELECT oms.get_order(%s)", order_id)[0]
        amount = (order["paid_minor"] - order["refunded_minor"]) // 10
        before_call()
        try:
            return query(connection, "SELECT refunded_minor FROM oms.refund_order(%s, %s, 'goodwill', %s, expected_version => %s)",
                         order_id, amount, key, order["version"])[0]
        except psycopg2.Error as error:
            if error.pgcode != "OM006":  # version_conflict
                raise
            print(f"conflict: {error.diag.message_detail}")
    raise RuntimeError("the order changes faster than it can be read")


def main():
    clerk, other = psycopg2.connect(""), psycopg2.connect("")
    order_id = query(clerk, """SELECT order_id FROM oms.create_order('customer-7', 'EUR',
                               '[{"sku": "POT-1", "qty": 1, "price_minor": 10000}]', 'cart-1')""")[0]
    for action in ("reserve", "pay"):
        query(clerk, "SELECT status FROM oms.advance_order(%s, %s, %s)", order_id, action, f"cart-1/{action}")

    interference = [lambda: query(other, "SELECT status FROM oms.refund_order(%s, 4000, 'damaged', 'ticket-9')", order_id)]
    refunded = refund_a_tenth(clerk, order_id, "goodwill-1", lambda: interference and interference.pop()())
    print("refunded in all:", refunded)
    clerk.close()
    other.close()


if __name__ == "__main__":
    main()
