// An oms-worker process under test.
#pragma once

#include <string>
#include <vector>

namespace oms::test {

class Process {
  public:
    /// Starts the worker's binary with these arguments; its output goes to a file.
    explicit Process(std::vector<std::string> arguments);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void signal(int number) const;
    /// Waits for its end and returns the exit code, or 128 + the signal that killed it.
    int wait();
    /// Waits until the output contains `text`; false when the process ended or it never came.
    bool says(const std::string& text);
    std::string output() const;

  private:
    int pid_ = -1;
    std::string file_;
};

/// Waits until `condition` holds. The limit is reached only when a test fails.
template <typename F>
bool eventually(F condition);

bool eventually_impl(bool (*ask)(void*), void* what);

template <typename F>
bool eventually(F condition) {
    return eventually_impl([](void* what) { return static_cast<bool>((*static_cast<F*>(what))()); }, &condition);
}

}  // namespace oms::test
