// The threads of a worker's rooms: begun together, ended together.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/event_fd.hpp"

namespace oms::command {

struct Job {
    std::string room;
    /// Returns when the stop is requested. An exception says that it cannot go on, and then neither can the process.
    std::function<void()> work;
};

class Crew {
  public:
    /// Lets each work in a thread of its own.
    explicit Crew(const std::vector<Job>& jobs);

    /// Readable when a room has ended; when all have.
    int one_has_ended() const noexcept { return one_ended_.fd(); }
    int all_have_ended() const noexcept { return all_ended_.fd(); }

    /// Waits for all of them; false when one could not go on. To be called once, before the destruction.
    bool join();

  private:
    void carry_out(const Job& job);

    runtime::EventFd one_ended_;
    runtime::EventFd all_ended_;
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> at_work_;
    std::atomic<bool> failed_{false};
};

}  // namespace oms::command
