// The program itself, started for a test.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark::tools {

// Fails the test when anything takes longer than 20 seconds; what still runs at the end is killed.
class ServerProcess {
 public:
  // `environment`: "NAME=VALUE"; nothing else is in it.
  ServerProcess(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;

  // Reads stderr until `text` and a line's end behind it have come. False if it ends before that.
  bool wait_for_log(const std::string& text);
  // The port in the first "http://127.0.0.1:PORT" behind `text` in stderr, after waiting for it; 0: none.
  uint16_t port_behind(const std::string& text);
  // Sends a signal, if it is not 0, and waits. The exit code, or -1 if a signal ended it.
  int end(int signal);

  std::string out;  // of stdout, after end()
  std::string log;  // of stderr, so far

 private:
  bool read_some();

  pid_t pid_ = -1;
  int out_fd_ = -1;
  int log_fd_ = -1;
};

}  // namespace tidemark::tools
