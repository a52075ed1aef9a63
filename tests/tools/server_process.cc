#include "tests/tools/server_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

namespace tidemark::tools {
namespace {

constexpr int kPatienceMs = 20'000;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& environment) {
  std::vector<std::string> words = {TIDEMARK_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment;
  std::array<int, 2> out_pipe{}, log_pipe{};
  EXPECT_EQ(pipe2(out_pipe.data(), O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(log_pipe.data(), O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out_pipe[1], 1);
  posix_spawn_file_actions_adddup2(&actions, log_pipe[1], 2);
  EXPECT_EQ(posix_spawn(&pid_, TIDEMARK_BINARY, &actions, nullptr, pointers(words).data(),
                        pointers(variables).data()),
            0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out_pipe[1]);
  ::close(log_pipe[1]);
  out_fd_ = out_pipe[0];
  log_fd_ = log_pipe[0];
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {out_fd_, log_fd_}) {
    if (fd >= 0) ::close(fd);
  }
}

bool ServerProcess::read_some() {
  std::array<pollfd, 2> fds = {{{out_fd_, POLLIN, 0}, {log_fd_, POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), kPatienceMs) <= 0) {
    ADD_FAILURE() << "the server says nothing: " << log;
    return false;
  }
  for (const pollfd& ready : fds) {
    if (ready.revents == 0) continue;
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(ready.fd, buffer.data(), buffer.size());
    int& fd = ready.fd == out_fd_ ? out_fd_ : log_fd_;
    if (got > 0) {
      (ready.fd == out_fd_ ? out : log).append(buffer.data(), static_cast<size_t>(got));
    } else {
      ::close(fd);
      fd = -1;  // poll() passes over it
    }
  }
  return out_fd_ >= 0 || log_fd_ >= 0;
}

bool ServerProcess::wait_for_log(const std::string& text) {
  while (true) {
    const size_t place = log.find(text);
    if (place != log.npos && log.find('\n', place) != log.npos) return true;
    if (!read_some()) return false;
  }
}

uint16_t ServerProcess::port_behind(const std::string& text) {
  const std::string full = text + "http://127.0.0.1:";
  if (!wait_for_log(full)) return 0;
  return static_cast<uint16_t>(std::atoi(log.c_str() + log.find(full) + full.size()));
}

int ServerProcess::end(int signal) {
  if (signal != 0) ::kill(pid_, signal);
  while (read_some()) {
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace tidemark::tools
