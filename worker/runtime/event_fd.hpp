// An eventfd: a flag that poll() can wait for. Signalling is async-signal-safe and never blocks.
#pragma once

namespace oms::runtime {

class EventFd {
  public:
    EventFd();
    ~EventFd();
    EventFd(const EventFd&) = delete;
    EventFd& operator=(const EventFd&) = delete;

    void signal() const noexcept;
    void clear() const noexcept;
    int fd() const noexcept { return fd_; }

  private:
    int fd_;
};

}  // namespace oms::runtime
