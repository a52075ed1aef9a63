// A small HTTP/2 client over cleartext: one connection, prior knowledge, many requests at once, everything on
// the thread that calls run(). For benchmarks on one machine.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <boost/asio.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tidemark::bench {

struct H2Answer {
  int status = 0;
  std::string body;
};

// Errors of the connection end the process.
class H2Client {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  using Done = std::function<void(H2Answer)>;

  H2Client(const std::string& host, const std::string& port);
  ~H2Client();
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;

  // Queues a POST. `done` runs inside run(), and may queue more. Header names in lower case.
  void post(const std::string& path, const Headers& headers, std::string body, Done done);
  H2Answer get_and_wait(const std::string& path, const Headers& headers);
  // Works until every request was answered.
  void run();
  // post() and run() for one request.
  H2Answer post_and_wait(const std::string& path, const Headers& headers, std::string body);

 private:
  struct Stream {
    std::string body;
    size_t sent = 0;
    H2Answer answer;
    Done done;
  };

  void request(const std::string& method, const std::string& path, const Headers& headers, std::string body,
               Done done);
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void*);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user);
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size, void* user);
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user);

  void read_some();
  void write_some();

  std::string authority_;
  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_{context_};
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, Stream> streams_;
  std::vector<std::pair<Done, H2Answer>> finished_;  // `done` runs outside nghttp2's callbacks
  std::array<uint8_t, 64 * 1024> input_;
  std::string output_;
  bool reading_ = false;
  bool writing_ = false;
};

}  // namespace tidemark::bench
