#include "db/numbers.hpp"

#include <chrono>
#include <nlohmann/json.hpp>

#include "runtime/log.hpp"

namespace oms::db {
namespace {

using namespace std::chrono_literals;

// Several scrapers, or an eager one, cost the database one question in this time.
constexpr runtime::Clock::duration good_for = 1s;

constexpr Statement backlog_of = {"backlog",
                                  "SELECT lag_events, lag_seconds,"
                                  "  coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - oldest_pending), 0)"
                                  " FROM oms.reader_status($1)"};
constexpr Statement metrics_of = {"metrics", "SELECT name, labels, value FROM oms.metrics()"};

std::string escaped(const std::string& value) {
    std::string text;
    for (const char c : value) {
        if (c == '\n') {
            text += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text;
}

}  // namespace

std::string metric_line(std::string_view name, std::string_view labels, std::string_view value) {
    std::string line(name);
    const auto parsed = nlohmann::json::parse(labels, nullptr, false);
    if (parsed.is_object() && !parsed.empty()) {
        char before = '{';
        for (const auto& [label, of] : parsed.items()) {
            line += before;
            line += label + "=\"" + escaped(of.is_string() ? of.get<std::string>() : of.dump()) + '"';
            before = ',';
        }
        line += '}';
    }
    line += ' ';
    line += value.empty() ? "NaN" : value;
    line += '\n';
    return line;
}

std::string Numbers::text() {
    const std::lock_guard lock(mutex_);
    const auto now = clock_.now();
    if (asked_ && now - *asked_ < good_for) return last_;
    asked_ = now;
    try {
        last_ = ask() + metric_line("oms_worker_database_up", "{}", "1");
    } catch (const std::exception& error) {
        connection_.reset();
        last_ = metric_line("oms_worker_database_up", "{}", "0");
        log::debug("the database gave no numbers", {{"error", error.what()}});
    }
    return last_;
}

std::string Numbers::ask() {
    if (!connection_) {
        connection_.emplace(target_);
        connection_->run_text("SET statement_timeout = '2s'; SET search_path = pg_catalog");
        contract_ = Contract::of(*connection_);
    }
    std::string text;
    bool has_backlog = false;
    if (contract_.metrics) {
        const auto rows = connection_->run(metrics_of);
        for (int row = 0; row < rows.rows(); ++row) {
            has_backlog = has_backlog || rows.text(row, 0) == "oms_outbox_pending_records";
            text += metric_line(rows.text(row, 0), rows.text(row, 1), rows.text(row, 2));
        }
    }
    return has_backlog ? text : text + backlog();
}

std::string Numbers::backlog() {
    std::string text;
    const auto rows = connection_->run(backlog_of, {reader_});
    const auto labels = nlohmann::json{{"reader", reader_}}.dump();
    for (int row = 0; row < rows.rows(); ++row) {
        text += metric_line("oms_outbox_pending_records", labels, rows.text(row, 0));
        text += metric_line("oms_relay_lag_seconds", labels, rows.text(row, 1));
        text += metric_line("oms_outbox_oldest_pending_age_seconds", labels, rows.text(row, 2));
    }
    return text;
}

}  // namespace oms::db
