// The module's door: what happens when the server loads the library. Nothing else belongs here.
#include "api/fulfilment.hpp"
#include "commands/commands.hpp"
#include "idempotency/idempotency.hpp"
#include "log/log.hpp"
#include "orders/orders.hpp"
#include "payments/payments.hpp"
#include "pg/catalog.hpp"
#include "pg/relaxed_commit.hpp"
#include "pg/row_places.hpp"
#include "pg/settings.hpp"
#include "shipments/shipments.hpp"
#include "stock/stock.hpp"
#include "saga/saga.hpp"
#include "tasks/tasks.hpp"
#include "timers/timers.hpp"

#include "pg/poison.hpp"

extern "C" {
#ifdef PG_MODULE_MAGIC_EXT
OMS_EXPORT const Pg_magic_struct* Pg_magic_func(void);
PG_MODULE_MAGIC_EXT(.name = "oms", .version = OMS_VERSION);
#else
PG_MODULE_MAGIC;
#endif

OMS_EXPORT void _PG_init(void);

void _PG_init(void) {
    using namespace oms;
    pg::register_settings();
    pg::watch(orders::table());
    pg::watch(orders::item_table());
    pg::watch(log::table());
    pg::watch(log::stream_table());
    pg::watch(log::life_table());
    pg::watch(idempotency::table());
    pg::watch(commands::table());
    pg::watch(stock::table());
    pg::watch(stock::reservation_table());
    pg::watch(payments::table());
    pg::watch(payments::operation_table());
    pg::watch(payments::refund_table());
    pg::watch(payments::ledger_table());
    pg::watch(shipments::table());
    pg::watch(shipments::item_table());
    pg::watch(tasks::table());
    pg::watch(timers::table());
    pg::watch(saga::table());
    pg::watch(saga::step_table());
    pg::on_relation_change(orders::rules_changed);
    pg::on_relation_change(log::routes_changed);
    pg::on_relation_change(log::lives_changed);
    pg::on_relation_change(tasks::relation_changed);
    pg::on_relation_change(timers::relation_changed);
    pg::on_relation_change(saga::definitions_changed);
    log::install_doorbell();
    log::install_readers();
    saga::watch_transactions();
    saga::on_lock_order(api::lock_order);
    tasks::install();
    timers::install();
    pg::install_relaxed_commit();
    pg::install_row_places();
}
}
