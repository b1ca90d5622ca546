#include "command/crew.hpp"

#include <exception>

#include "runtime/log.hpp"

namespace oms::command {

Crew::Crew(const std::vector<Job>& jobs) : at_work_(jobs.size()) {
    for (const auto& job : jobs) threads_.emplace_back([this, job] { carry_out(job); });
}

void Crew::carry_out(const Job& job) {
    try {
        job.work();
    } catch (const std::exception& error) {
        log::error("cannot go on", {{"room", job.room}, {"error", error.what()}});
        failed_ = true;
    }
    if (--at_work_ == 0) all_ended_.signal();
    one_ended_.signal();
}

bool Crew::join() {
    for (auto& thread : threads_) thread.join();
    return !failed_;
}

}  // namespace oms::command
