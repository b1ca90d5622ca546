#include "http/server.hpp"

#include <httplib.h>

#include <stdexcept>
#include <thread>

#include "http/health.hpp"

namespace oms::http {
namespace {

// Health checks and one scraper: two requests at a time are plenty.
constexpr std::size_t threads = 2;

void answer(httplib::Response& response, bool good, const std::string& text, const char* type) {
    response.status = good ? 200 : 503;
    response.set_content(text, type);
}

}  // namespace

struct Server::Parts {
    httplib::Server server;
    int port = 0;
    std::thread listener;
};

Server::Server(const std::string& address, const runtime::RoomStatus& rooms, const runtime::Metrics& metrics,
               DatabaseNumbers& database, runtime::Clock::duration patience)
    : parts_(std::make_unique<Parts>()) {
    auto& server = parts_->server;
    server.new_task_queue = [] { return new httplib::ThreadPool(threads); };
    const auto probe = [&server](const char* path, auto judge_it) {
        server.Get(path, [judge_it](const httplib::Request&, httplib::Response& response) { judge_it(response); });
    };
    constexpr auto json = "application/json";
    probe("/livez", [rooms, patience](httplib::Response& response) {
        const bool live = judge(rooms, patience).live;
        answer(response, live, live ? "ok\n" : "stuck\n", "text/plain");
    });
    probe("/readyz", [rooms, patience](httplib::Response& response) {
        const bool ready = judge(rooms, patience).ready;
        answer(response, ready, ready ? "ok\n" : "not ready\n", "text/plain");
    });
    probe("/healthz", [rooms, patience](httplib::Response& response) {
        const auto health = judge(rooms, patience);
        answer(response, health.live && health.ready, health.detail, json);
    });
    probe("/metrics", [&metrics, &database](httplib::Response& response) {
        answer(response, true, metrics.text() + database.text(), "text/plain; version=0.0.4");
    });

    const auto colon = address.rfind(':');
    const auto host = address.substr(0, colon);
    const int wanted = std::stoi(address.substr(colon + 1));
    if (wanted == 0)
        parts_->port = server.bind_to_any_port(host.c_str());
    else
        parts_->port = server.bind_to_port(host.c_str(), wanted) ? wanted : -1;
    if (parts_->port <= 0) throw std::runtime_error("cannot listen at " + address);
    parts_->listener = std::thread([&server] { server.listen_after_bind(); });
}

Server::~Server() {
    parts_->server.stop();
    if (parts_->listener.joinable()) parts_->listener.join();
}

int Server::port() const noexcept { return parts_->port; }

}  // namespace oms::http
