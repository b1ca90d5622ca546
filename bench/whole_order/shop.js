// What the rivals share: the calls of the hand-written shop (sql/whole_order.sql), as prepared statements, and the participant, who answers at once.
const provider_ref = (order_id) => `ch_${order_id}`;

module.exports = {
    // The connection of the environment, for those that want it as a URL.
    database: `postgresql://${process.env.PGUSER}@localhost:${process.env.PGPORT}/${process.env.PGDATABASE}?host=${encodeURIComponent(process.env.PGHOST)}`,
    provider_ref,
    authorize: (client, order_id) =>
        client.query({ name: "authorized", text: "SELECT shop.authorized($1, $2)", values: [[order_id], [provider_ref(order_id)]] }),
    capture: (client, order_id) => client.query({ name: "captured", text: "SELECT shop.captured($1)", values: [[order_id]] }),
};
