#include "test/pgbouncer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace oms::test {
namespace {

constexpr const char* program = "/usr/sbin/pgbouncer";

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ::ntohs(address.sin_port);
}

bool answers(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = ::htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    const bool open = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return open;
}

}  // namespace

PgBouncer::PgBouncer() {
    if (::access(program, X_OK) != 0) return;
    directory_ = std::filesystem::temp_directory_path() / ("oms-pgbouncer-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
    // It refuses to run as root, and the server's socket is for the server's user.
    const passwd* user = ::getuid() == 0 ? ::getpwnam("postgres") : nullptr;
    if (user != nullptr && ::chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) return;
    port_ = free_port();
    std::ofstream(directory_ + "/ini") << "[databases]\n* = host=" << std::getenv("PGHOST")
                                       << " port=" << std::getenv("PGPORT")
                                       << " user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = "
                                       << port_ << "\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n";
    pid_ = ::fork();
    if (pid_ == 0) {
        if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) ::_exit(1);
        ::execl(program, program, "-q", (directory_ + "/ini").c_str(), nullptr);
        ::_exit(1);
    }
    while (!answers(port_)) {
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            return;
        }
        ::usleep(10'000);
    }
}

PgBouncer::~PgBouncer() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
}

}  // namespace oms::test
