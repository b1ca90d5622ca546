#include "runtime/waiter.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <system_error>

namespace oms::runtime {

int poll_for(std::span<pollfd> fds, std::optional<Clock::duration> timeout) {
    timespec wait{};
    if (timeout) {
        const auto left = std::max(*timeout, Clock::duration::zero());
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        wait.tv_sec = seconds.count();
        wait.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    }
    const int ready = ::ppoll(fds.data(), fds.size(), timeout ? &wait : nullptr, nullptr);
    if (ready < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "ppoll");
    return ready;
}

void PollWaiter::wait(std::span<const int> fds, Clock::duration timeout) {
    // Database socket, delivery reports and the stop request: nothing waits for more than these.
    constexpr std::size_t most = 4;
    std::array<pollfd, most> set{};
    std::size_t used = 0;
    // A requested stop stays readable for ever: polled for again it would turn every later wait, those
    // of the orderly shutdown, into a spin. Callers check requested() before they come here.
    if (!stop_.requested()) set[used++] = {stop_.fd(), POLLIN, 0};
    for (const int fd : fds) {
        if (fd < 0) continue;
        if (used == most) throw std::logic_error("too many descriptors to wait for");
        set[used++] = {fd, POLLIN, 0};
    }
    poll_for(std::span(set.data(), used), timeout);
}

}  // namespace oms::runtime
