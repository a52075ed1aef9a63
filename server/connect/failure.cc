// Clients treat a 4xx as final and repeat a 5xx for ever. So 4xx is for what will not get better by
// repeating, or must not be repeated unasked; 5xx for conditions that pass.
//
// Paths and offsets stay in the server's log: they are the operator's business.
#include "server/connect/failure.h"

#include "server/connect/protocol.h"
#include "server/connect/wire.h"

namespace tidemark::connect {
namespace {

constexpr char kProtobuf[] = "application/x-protobuf";

constexpr char kDamaged[] =
    "The server found damaged data where this request looked and served none of it; its log names the file.";
constexpr char kIoFailed[] = "The server could not read its disk; its log says why.";

}  // namespace

Answer plain_text(int status, std::string sentence) {
  return {status, "text/plain; charset=utf-8", std::move(sentence)};
}

bool is_fault(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCorruption:
    case ErrorCode::kIo:
    case ErrorCode::kNoSpace:
    case ErrorCode::kReadOnly:
    case ErrorCode::kUnknownOutcome:
    case ErrorCode::kNewerFormat:
    case ErrorCode::kLocked:
    case ErrorCode::kNotFound:
    case ErrorCode::kWouldBlock:
    case ErrorCode::kDenied:
    case ErrorCode::kConflict:
      return true;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kBeyondHorizon:
    case ErrorCode::kShutdown:
    case ErrorCode::kUnavailable:
      return false;
  }
  return true;
}

Answer read_failure(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kBeyondHorizon:
      return plain_text(400, error.message);
    case ErrorCode::kShutdown:
      return plain_text(503, text::kUnavailable);
    case ErrorCode::kCorruption:
      return plain_text(500, kDamaged);
    case ErrorCode::kIo:
      return plain_text(500, kIoFailed);
    default:
      return plain_text(500,
                        "The server could not do this read: " + std::string(to_string(error.code)) + ".");
  }
}

Answer view_failure(const Error& error) {
  if (error.code == ErrorCode::kReadOnly) return plain_text(429, error.message);
  return read_failure(error);
}

// A 4xx for the reasons given at kNoSpace below.
Answer store_full() {
  return plain_text(
      409,
      "The store has reached its limit on disk: nothing was written. Deletes are still taken; its "
      "operator can raise the limit (--max-disk-bytes).");
}

Answer write_failure(const Error& error) {
  switch (error.code) {
    case ErrorCode::kReadOnly:
      return {200, kProtobuf, write_disabled()};
    // It may be durable: neither "written" nor "not written" would be true, so the client must find out or
    // retry.
    case ErrorCode::kUnknownOutcome:
      return plain_text(
          503,
          "The server cannot tell whether this write will count: its disk failed, or the server "
          "ended before it was safe.");
    // Nothing was accepted, and it stays so until somebody makes room. A 5xx would make every client repeat
    // the write for ever, without its user ever learning why, and AW_WRITE_DISABLED would hide the reason; a
    // 4xx fails the call at once and shows the sentence. Later writes are tried afresh and succeed when there
    // is room.
    case ErrorCode::kNoSpace:
      return plain_text(409, "The server's disk is full: nothing was written. Try again when there is room.");
    // Nothing was accepted: the backup that commits wait for is behind.
    case ErrorCode::kUnavailable:
      return plain_text(503, text::kUnavailable);
    default:
      return read_failure(error);
  }
}

}  // namespace tidemark::connect
