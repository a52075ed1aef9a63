#include "engine/base/status.h"

namespace tidemark {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kCorruption:
      return "corruption";
    case ErrorCode::kIo:
      return "i/o error";
    case ErrorCode::kNoSpace:
      return "no space";
    case ErrorCode::kReadOnly:
      return "read-only";
    case ErrorCode::kUnknownOutcome:
      return "unknown outcome";
    case ErrorCode::kLocked:
      return "locked";
    case ErrorCode::kNewerFormat:
      return "newer format";
    case ErrorCode::kBeyondHorizon:
      return "beyond horizon";
    case ErrorCode::kWouldBlock:
      return "would block";
    case ErrorCode::kShutdown:
      return "shutdown";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kDenied:
      return "denied";
    case ErrorCode::kConflict:
      return "conflict";
  }
  return "unknown";
}

}  // namespace tidemark
