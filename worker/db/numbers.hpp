// Numbers for /metrics out of the database: the reader's backlog and the rows of oms.metrics().
//
// Asked over a session of its own, so that a scrape never stands between the relay and its work.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "db/connection.hpp"
#include "db/contract.hpp"
#include "http/ports.hpp"
#include "runtime/clock.hpp"

namespace oms::db {

class Numbers final : public http::DatabaseNumbers {
  public:
    Numbers(Target target, std::string reader, const runtime::Clock& clock)
        : target_(std::move(target)), reader_(std::move(reader)), clock_(clock) {
        target_.application_name = "oms-worker metrics";
        target_.connect_timeout_s = 2;  // libpq's least: neither a scrape nor a stop waits longer for a dead host
    }

    std::string text() override;

  private:
    std::string ask();
    std::string backlog();

    Target target_;
    std::string reader_;
    const runtime::Clock& clock_;
    std::mutex mutex_;
    std::optional<Connection> connection_;
    Contract contract_;
    std::string last_;
    std::optional<runtime::Clock::time_point> asked_;
};

/// One line of the Prometheus text format; `labels` is a JSON object.
std::string metric_line(std::string_view name, std::string_view labels, std::string_view value);

}  // namespace oms::db
