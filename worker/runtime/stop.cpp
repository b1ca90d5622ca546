#include "runtime/stop.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>

#include "runtime/waiter.hpp"

namespace oms::runtime {

Signals::Signals() : fd_(-1) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0)
        throw std::system_error(error, std::generic_category(), "pthread_sigmask");
    // A peer that closes its end must be an error of the call, not the end of the process.
    std::signal(SIGPIPE, SIG_IGN);
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
}

Signals::~Signals() { ::close(fd_); }

Signals::Wake Signals::wait(int other, std::optional<Clock::duration> timeout) {
    pollfd fds[] = {{fd_, POLLIN, 0}, {other, POLLIN, 0}};
    const SteadyClock clock;
    const auto deadline = clock.now() + timeout.value_or(Clock::duration::zero());
    for (;;) {
        const auto left = timeout ? std::optional(deadline - clock.now()) : std::nullopt;
        const int ready = poll_for(fds, left);
        if (ready == 0) return Wake::timeout;
        if (ready < 0) continue;  // interrupted: look at the clock again
        if ((fds[0].revents & POLLIN) == 0) return Wake::other;
        signalfd_siginfo info{};
        [[maybe_unused]] const auto got = ::read(fd_, &info, sizeof info);
        return Wake::signal;
    }
}

}  // namespace oms::runtime
