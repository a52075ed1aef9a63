#include "bench/machine.h"

#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

namespace tidemark::bench {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kBareFileBytes = uint64_t{64} << 20;

void sync_path(const std::string& path, int flags) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0 || ::fsync(fd) != 0) {
    die("cannot sync " + path + ": " + std::strerror(errno));
  }
  ::close(fd);
}

}  // namespace

void die(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::fflush(stderr);
  ::_exit(1);
}

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int64_t now_ns() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

void run_threads(int threads, const std::function<void(int)>& body) {
  std::vector<std::thread> running;
  running.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    running.emplace_back(body, i);
  }
  for (auto& thread : running) {
    thread.join();
  }
}

Turn run_turn(const TurnOptions& options, const std::function<Worker(int)>& make_worker) {
  struct alignas(64) Share {
    uint64_t operations = 0;
    int64_t start_ns = 0;
    int64_t end_ns = 0;
  };
  std::vector<Share> shares(static_cast<size_t>(options.threads));
  std::barrier start_line(options.threads);
  run_threads(options.threads, [&](int thread) {
    Worker worker = make_worker(thread);
    for (int64_t end = now_ns() + options.warm_ms * 1'000'000; now_ns() < end;) {
      worker(options.stride);
    }
    start_line.arrive_and_wait();
    Share share;
    share.start_ns = now_ns();
    const int64_t deadline_ns = share.start_ns + options.measured_ms * 1'000'000;
    do {
      worker(options.stride);
      share.operations += options.stride;
      share.end_ns = now_ns();
    } while (share.end_ns < deadline_ns);
    shares[static_cast<size_t>(thread)] = share;
    // Nobody tears down its session while others are still being measured.
    start_line.arrive_and_wait();
  });
  Turn turn;
  int64_t start_ns = INT64_MAX;
  int64_t end_ns = 0;
  for (const Share& share : shares) {
    turn.operations += share.operations;
    start_ns = std::min(start_ns, share.start_ns);
    end_ns = std::max(end_ns, share.end_ns);
  }
  turn.seconds = static_cast<double>(end_ns - start_ns) * 1e-9;
  return turn;
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    die("cannot create the folder " + path + ": " + error.message());
  }
}

std::string make_fresh_folder(const std::string& parent) {
  make_folder(parent);
  std::string path = parent + "/run-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    die("cannot create a folder in " + parent + ": " + std::strerror(errno));
  }
  return path;
}

void remove_folder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    die("cannot remove the folder " + path + ": " + error.message());
  }
}

void copy_folder(const std::string& from, const std::string& to) {
  make_folder(to);
  std::error_code error;
  fs::copy(from, to, fs::copy_options::recursive, error);
  if (error) {
    die("cannot copy the folder " + from + ": " + error.message());
  }
  for (const auto& entry : fs::recursive_directory_iterator(to)) {
    if (entry.is_regular_file()) {
      sync_path(entry.path(), O_RDONLY);
    }
  }
  sync_path(to, O_RDONLY | O_DIRECTORY);
}

uint64_t disk_bytes(const std::string& path) {
  uint64_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    struct stat info;
    if (::stat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      total += static_cast<uint64_t>(info.st_blocks) * 512;
    }
  }
  return total;
}

void sync_file_system(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::syncfs(fd) != 0) {
    die("cannot sync the file system of " + path + ": " + std::strerror(errno));
  }
  ::close(fd);
}

BareLog::BareLog(std::string path, Space space) : path_(std::move(path)), space_(space) {
  start_file();
}

BareLog::~BareLog() {
  ::close(fd_);
  ::unlink(path_.c_str());
}

void BareLog::start_file() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd_ < 0 || ::fallocate(fd_, 0, 0, kBareFileBytes) != 0) {
    die("cannot make the bare log " + path_ + ": " + std::strerror(errno));
  }
  if (space_ == Space::kZeroed) {
    const std::string zeros(size_t{1} << 20, '\0');
    for (uint64_t at = 0; at < kBareFileBytes; at += zeros.size()) {
      if (::pwrite(fd_, zeros.data(), zeros.size(), static_cast<off_t>(at)) !=
          static_cast<ssize_t>(zeros.size())) {
        die("cannot write the bare log " + path_ + ": " + std::strerror(errno));
      }
    }
  }
  if (::fsync(fd_) != 0) {
    die("cannot sync the bare log " + path_ + ": " + std::strerror(errno));
  }
  offset_ = 0;
}

void BareLog::append(std::string_view record) {
  if (offset_ + record.size() > kBareFileBytes) {
    start_file();
  }
  if (::pwrite(fd_, record.data(), record.size(), static_cast<off_t>(offset_)) !=
          static_cast<ssize_t>(record.size()) ||
      ::fdatasync(fd_) != 0) {
    die("cannot append to the bare log " + path_ + ": " + std::strerror(errno));
  }
  offset_ += record.size();
}

}  // namespace tidemark::bench
