"""The same idempotency key in two sessions at once: one does the work, the other waits or is told to come again."""

import threading

import psycopg2

CREATE = """SELECT order_id, replayed
            FROM oms.create_order('customer-7', 'EUR', '[{"sku": "TEA-100", "qty": 2, "price_minor": 450}]', %s)"""


def create(connection, key):
    with connection.cursor() as cursor:
        cursor.execute(CREATE, (key,))
        return cursor.fetchone()


def do_not_wait(first, second):
    with second.cursor() as cursor:
        cursor.execute("SET oms.idempotency_wait = off")
    second.commit()
    create(first, "cart-1")  # not committed yet
    try:
        create(second, "cart-1")
    except psycopg2.Error as error:
        print(f"second: {error.pgcode} {error.diag.message_primary}")
    second.rollback()
    first.commit()
    print("second, later: replayed", create(second, "cart-1")[1])
    second.commit()


def wait(first, second):
    with second.cursor() as cursor:
        cursor.execute("SET oms.idempotency_wait = on")
    second.commit()
    order_id, _ = create(first, "cart-2")  # not committed yet
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(create(second, "cart-2")))
    waiting.start()  # does not come back before the first has ended
    first.commit()
    waiting.join()
    second.commit()
    print("second waited: same order", answers[0][0] == order_id, "replayed", answers[0][1])


def wait_for_a_rollback(first, second):
    order_id, _ = create(first, "cart-3")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(create(second, "cart-3")))
    waiting.start()
    first.rollback()  # the first never happened, so the second does the work
    waiting.join()
    second.commit()
    print("first rolled back: same order", answers[0][0] == order_id, "replayed", answers[0][1])


def main():
    first, second = psycopg2.connect(""), psycopg2.connect("")
    do_not_wait(first, second)
    wait(first, second)
    wait_for_a_rollback(first, second)
    first.close()
    second.close()


if __name__ == "__main__":
    main()
