// The module's door: what happens when the server loads the library. Nothing else belongs here.
#include "idempotency/idempotency.hpp"
#include "log/log.hpp"
#include "orders/orders.hpp"
#include "pg/catalog.hpp"
#include "pg/settings.hpp"

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
    pg::on_relation_change(orders::rules_changed);
    pg::on_relation_change(log::routes_changed);
    pg::on_relation_change(log::lives_changed);
    log::install_doorbell();
    log::install_readers();
}
}
