#include "test/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace oms::test {

using namespace std::chrono_literals;

bool eventually_impl(bool (*ask)(void*), void* what) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
        if (ask(what)) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

Process::Process(std::vector<std::string> arguments) {
    static int started = 0;
    file_ = std::filesystem::temp_directory_path() /
            ("oms-worker-" + std::to_string(::getpid()) + "-" + std::to_string(++started) + ".log");
    const char* program = std::getenv("OMS_WORKER");
    if (program == nullptr)
        throw std::runtime_error("OMS_WORKER does not name the binary; run the tests with `make test`");
    std::vector<char*> raw = {const_cast<char*>(program)};
    for (auto& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        const int out = ::open(file_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::unsetenv("OMS_WORKER");
        ::execv(program, raw.data());
        ::_exit(127);
    }
}

Process::~Process() {
    if (pid_ > 0) {
        ::kill(pid_, SIGCONT);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove(file_);
}

void Process::signal(int number) const { ::kill(pid_, number); }

int Process::wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::output() const {
    std::ifstream in(file_);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bool Process::says(const std::string& text) {
    return eventually([&] { return output().find(text) != std::string::npos; });
}

}  // namespace oms::test
