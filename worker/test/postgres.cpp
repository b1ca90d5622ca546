#include "test/postgres.hpp"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace oms::test {
namespace {

db::Connection admin() { return db::Connection({"dbname=postgres", "", "worker-test"}); }

std::string file(const std::string& name) {
    std::ifstream in(std::string(OMS_TEST_DIR) + "/" + name);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void drop(const std::string& name) { admin().run_text(("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)").c_str()); }

std::string quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'') quoted += '\'';
        quoted += c;
    }
    return quoted + "'";
}

}  // namespace

bool extension_offered() {
    static const bool offered = [] {
        const auto name = "oms_worker_probe_" + std::to_string(::getpid());
        auto connection = admin();
        connection.run_text(("CREATE DATABASE " + name).c_str());
        bool found = false;
        try {
            db::Connection probe({"dbname=" + name, "", "worker-test"});
            probe.run_text("CREATE EXTENSION oms");
            found = probe
                        .run_text(
                            "SELECT count(*) = 3 FROM pg_proc WHERE pronamespace = 'oms'::regnamespace"
                            " AND proname IN ('read_events', 'attach_reader', 'doorbell_arm')")
                        .boolean(0, 0);
        } catch (const db::Error&) {
            // No such extension on this server.
        }
        drop(name);
        return found;
    }();
    return offered;
}

TestDatabase::TestDatabase() {
    static int made = 0;
    name_ = "oms_worker_test_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
    const bool extension = extension_offered();
    admin().run_text(("CREATE DATABASE " + name_).c_str());
    connection_.emplace(target());
    connection_->run_text("SET client_min_messages = warning");
    connection_->run_text(file(extension ? "extension.sql" : "stand_in.sql").c_str());
}

TestDatabase::~TestDatabase() {
    connection_.reset();
    try {
        drop(name_);
    } catch (const std::exception&) {
        // A server that a test has stopped; its clusters are thrown away anyway.
    }
}

std::string TestDatabase::ask(const std::string& sql) {
    const auto rows = connection_->run_text(sql.c_str());
    return rows.rows() == 0 ? "" : std::string(rows.text(0, 0));
}

std::int64_t TestDatabase::append(const std::string& aggregate, const std::string& topic, const std::string& payload,
                                  const std::string& headers) {
    return std::stoll(ask("SELECT worker_test.append(" + quoted(aggregate) + "," + quoted(topic) + "," +
                          quoted(payload) + "," + quoted(headers) + ")"));
}

void TestDatabase::allow_connections(bool allowed) {
    admin().run_text(("ALTER DATABASE " + name_ + " ALLOW_CONNECTIONS " + (allowed ? "true" : "false")).c_str());
}

void TestDatabase::cut_sessions() {
    ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()");
}

}  // namespace oms::test
