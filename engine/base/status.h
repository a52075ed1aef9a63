// Errors that can happen are values. No exception crosses the edge of a library of this project.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark {

// Few kinds, each telling the caller what to do; the detail is in the message.
enum class ErrorCode : uint8_t {
  kInvalidArgument,  // mend the request
  kNotFound,         // the named thing does not exist
  kCorruption,  // bytes that do not match their checksum or their rules; the message names file and offset
  kIo,          // the machine refused a system call; the message names the file and the reason
  kNoSpace,     // the disk is full; nothing was accepted; may be tried again when there is room
  kReadOnly,    // this database takes no writes (opened so, or a sync failed); reads go on
  kUnknownOutcome,  // the commit may or may not be durable; only reopening the database can tell
  kLocked,          // another process holds the store
  kNewerFormat,     // written by a newer version of this program
  kBeyondHorizon,   // the moment asked for can no longer be read, or lies in the future
  kWouldBlock,      // would need the disk or more steps than allowed; try again on a thread that may block
  kShutdown,        // the database is being closed
  kUnavailable,     // a service elsewhere cannot be reached or is overloaded: try again later
  kDenied,          // a service elsewhere refuses: mend credentials or rights
  kConflict,        // somebody else was there first
};

// A short stable name ("corruption"), for logs.
std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string message;  // one plain sentence, no trailing newline
};

template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

using Status = Result<void>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}

// The same error with "context: " put before its message.
inline std::unexpected<Error> fail_within(std::string_view context, const Error& inner) {
  return fail(inner.code, std::string(context) + ": " + inner.message);
}

}  // namespace tidemark

#define TM_CONCAT_(a, b) a##b
#define TM_CONCAT(a, b) TM_CONCAT_(a, b)

// Returns the error of `expr` (a Status or a Result) to the caller, or goes on.
#define TM_TRY(expr)                                                            \
  do {                                                                          \
    if (auto tm_status_ = (expr); !tm_status_.has_value()) [[unlikely]]         \
      return std::unexpected<::tidemark::Error>(std::move(tm_status_).error()); \
  } while (0)

// lhs = value of `expr`, or returns its error to the caller.
#define TM_ASSIGN(lhs, expr)                                                                       \
  auto TM_CONCAT(tm_result_, __LINE__) = (expr);                                                   \
  if (!TM_CONCAT(tm_result_, __LINE__).has_value()) [[unlikely]]                                   \
    return std::unexpected<::tidemark::Error>(std::move(TM_CONCAT(tm_result_, __LINE__)).error()); \
  lhs = std::move(*TM_CONCAT(tm_result_, __LINE__))
