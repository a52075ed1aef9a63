// Each transfer has one of curl's "easy" handles, taken from a pool and put back, for a handle keeps its
// connections open for the next transfer. A handle is used by one thread at a time.
//
// curl speaks HTTP/1.1 here and nothing newer: the stores offer no more, and a connection to each transfer is
// what parallel uploads want anyway.
#include "server/backup/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

constexpr size_t kMaxIdle = 16;
constexpr size_t kErrorBodyMax = 64 * 1024;
constexpr size_t kHeadersMax = 100;
constexpr size_t kReserveMax = 64 << 20;  // what the server says is taken at its word up to here
constexpr size_t kAskFirstBytes = 1 << 20;
constexpr long kStallBytesPerSecond = 1024;
constexpr int kOk = 200;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

// What the callbacks of one transfer need.
struct Transfer {
  CURL* curl;
  const HttpRequest& request;
  const HttpClient& client;
  HttpAnswer answer;
  size_t sent = 0;
  bool endless = false;  // the answer does not say where it ends, and should
};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

size_t on_header(char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {  // a new answer: those before it were interim ones
    transfer.answer = {};
    return size;
  }
  const size_t colon = line.find(':');
  if (colon == line.npos || transfer.answer.headers.size() >= kHeadersMax) return size;
  transfer.answer.headers.emplace_back(lower_case(line.substr(0, colon)),
                                       std::string(trimmed(line.substr(colon + 1))));
  return size;
}

// What is to be known before the body comes, or if there is none.
void read_head(Transfer& transfer) {
  HttpAnswer& answer = transfer.answer;
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  if (answer.status != kOk) return;
  curl_off_t length = -1;
  curl_easy_getinfo(transfer.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length < 0) {
    transfer.endless =
        transfer.request.needs_length && !lower_case(answer.header("transfer-encoding")).contains("chunked");
    return;
  }
  answer.too_long = static_cast<uint64_t>(length) > transfer.request.answer_max;
  if (!answer.too_long) answer.body.reserve(std::min<size_t>(static_cast<size_t>(length), kReserveMax));
}

size_t on_body(char* data, size_t, size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  HttpAnswer& answer = transfer.answer;
  if (answer.status == 0) read_head(transfer);
  if (answer.status != kOk) {
    // Enough to tell what is wrong. The rest is read, to keep the connection, but not for ever.
    if (answer.body.size() < kErrorBodyMax)
      answer.body.append(data, std::min(size, kErrorBodyMax - answer.body.size()));
    return size;
  }
  answer.too_long |= size > transfer.request.answer_max - answer.body.size();
  if (answer.too_long || transfer.endless) return 0;  // ends the transfer
  answer.body.append(data, size);
  return size;
}

size_t on_send(char* buffer, size_t, size_t room, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const size_t size = transfer.request.body.copy(buffer, room, transfer.sent);
  transfer.sent += size;
  return size;
}

// When a kept connection turns out to be closed, or the server wants the body later, it is sent from the
// start.
int on_seek(void* context, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (origin != SEEK_SET || offset < 0 || static_cast<size_t>(offset) > transfer.request.body.size())
    return CURL_SEEKFUNC_FAIL;
  transfer.sent = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(context)->client.is_cancelled() ? 1 : 0;
}

template <class T>
void set(CURL* curl, CURLoption option, T value) {
  TM_CHECK(curl_easy_setopt(curl, option, value) == CURLE_OK);
}

HeaderList make_headers(const HttpRequest& request) {
  HeaderList list;
  const auto add = [&list](const std::string& line) {
    curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
    TM_CHECK(longer != nullptr);
    static_cast<void>(list.release());
    list.reset(longer);
  };
  // curl writes an empty header if the name ends in a semicolon; a colon would take it away.
  for (const auto& [name, value] : request.headers) add(value.empty() ? name + ";" : name + ": " + value);
  // curl asks whether a body is welcome before it sends it. That spares a refused upload, but costs a round
  // trip, and a second where the server does not answer the question.
  if (request.has_body && request.body.size() < kAskFirstBytes) add("Expect:");
  return list;
}

// Whether what is wrong is with a certificate, which no second try mends.
bool is_distrust(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_ISSUER_ERROR;
}

}  // namespace

std::string_view HttpAnswer::header(std::string_view name) const {
  for (const auto& [own, value] : headers)
    if (own == name) return value;
  return {};
}

void HttpClient::CloseHandle::operator()(void* handle) const {
  curl_easy_cleanup(handle);
}

HttpClient::HttpClient(const HttpLimits& limits, std::string ca_file)
    : limits_(limits), ca_file_(std::move(ca_file)) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  TM_CHECK(initialized == CURLE_OK);
}

HttpClient::~HttpClient() = default;

HttpClient::Handle HttpClient::take_handle() {
  {
    MutexLock lock(mutex_);
    if (!idle_.empty()) {
      Handle handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  Handle handle(curl_easy_init());
  TM_CHECK(handle != nullptr);
  return handle;
}

void HttpClient::give_back(Handle handle) {
  curl_easy_reset(handle.get());  // keeps the connections
  MutexLock lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
}

Result<HttpAnswer> HttpClient::perform(const HttpRequest& request) {
  if (is_cancelled()) return fail(ErrorCode::kShutdown, "cancelled");
  Handle handle = take_handle();
  CURL* const curl = handle.get();
  Transfer transfer{curl, request, *this, {}};
  const HeaderList headers = make_headers(request);
  char detail[CURL_ERROR_SIZE] = {};

  set(curl, CURLOPT_URL, request.url.c_str());
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(curl, CURLOPT_PATH_AS_IS, 1L);  // a key may have dots between slashes
  set(curl, CURLOPT_FOLLOWLOCATION, 0L);
  set(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  set(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!ca_file_.empty()) set(curl, CURLOPT_CAINFO, ca_file_.c_str());
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  set(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits_.connect_ms));
  set(curl, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  set(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits_.stall_s));
  set(curl, CURLOPT_NOPROGRESS, 0L);
  set(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  set(curl, CURLOPT_XFERINFODATA, &transfer);
  set(curl, CURLOPT_ERRORBUFFER, detail);
  set(curl, CURLOPT_HTTPHEADER, headers.get());
  set(curl, CURLOPT_HEADERFUNCTION, on_header);
  set(curl, CURLOPT_HEADERDATA, &transfer);
  set(curl, CURLOPT_WRITEFUNCTION, on_body);
  set(curl, CURLOPT_WRITEDATA, &transfer);
  if (request.has_body) {
    set(curl, CURLOPT_UPLOAD, 1L);
    set(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(curl, CURLOPT_READFUNCTION, on_send);
    set(curl, CURLOPT_READDATA, &transfer);
    set(curl, CURLOPT_SEEKFUNCTION, on_seek);
    set(curl, CURLOPT_SEEKDATA, &transfer);
  }
  set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());

  const CURLcode code = curl_easy_perform(curl);
  HttpAnswer& answer = transfer.answer;
  if (answer.status == 0) read_head(transfer);
  long sent = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
  give_back(std::move(handle));

  if (transfer.endless)
    return fail(ErrorCode::kUnavailable, "the answer does not say its length, so it may be cut off");
  if (answer.too_long) answer.body.clear();
  if (code == CURLE_OK || answer.too_long) return std::move(answer);
  if (is_cancelled()) return fail(ErrorCode::kShutdown, "cancelled");
  std::string why = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  while (why.ends_with('.') || why.ends_with('\n')) why.pop_back();
  if (is_distrust(code)) return fail(ErrorCode::kDenied, "the store's certificate is not trusted: " + why);
  const char* const what = answer.status != 0 ? "the answer broke off: "
                           : sent != 0        ? "the store did not answer: "
                                              : "the store cannot be reached: ";
  return fail(ErrorCode::kUnavailable, what + why);
}

}  // namespace tidemark::backup
