// Where backups are kept: a bucket of a service that speaks S3, or a folder. Objects have keys and bytes, are
// written whole, and are listed in the order of their keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/status.h"

namespace tidemark::backup {

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;        // bytes
  int64_t modified_ms = 0;  // since 1970, by the store's clock
};

struct ObjectPage {
  std::vector<ObjectInfo> objects;  // in the order of the bytes of their keys
  bool more = false;                // others follow behind the last of these
};

struct Object {
  std::string bytes;
  std::string tag;  // names these very contents, for conditions; opaque; empty where the store has none
};

// When a put is to happen at all. A store that does not know conditions writes in any case.
struct PutCondition {
  enum class Kind : uint8_t {
    kNone,
    kAbsent,     // there is no object with this key
    kUnchanged,  // its contents are those that `tag` names
  } kind = Kind::kNone;
  std::string tag = {};

  static PutCondition none() { return {}; }
  static PutCondition absent() { return {Kind::kAbsent}; }
  static PutCondition unchanged(std::string tag) { return {Kind::kUnchanged, std::move(tag)}; }
};

// Any thread; calls block until the store has answered or a time limit has passed. Keys are 1 to 1,024 bytes
// of ASCII without control characters; no part between slashes is empty, ".", ".." or longer than 255 bytes,
// and no key is a folder of another one. What is written is seen by every later get and list.
//
// Errors, besides those named below, each with a sentence that names the operation, the key and what the
// store said: kUnavailable (not reached, too slow, overloaded, an answer that was cut off; whether a put or
// remove has happened is not known, and it may still happen), kDenied (credentials, rights, no such bucket, a
// clock that is wrong), kInvalidArgument (the store calls the request wrong), kCorruption (an answer that
// makes no sense), kShutdown.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Writes the whole object, in place of one with this key; gives its tag. Readers see the old bytes or the
  // new ones. kConflict: the condition does not hold.
  virtual Result<std::string> put(std::string_view key, std::string_view bytes,
                                  const PutCondition& condition = {}) = 0;
  // kNotFound if there is no such object. Nothing if its contents are those that `known_tag`, if not empty,
  // names. kInvalidArgument if it has more than `max_bytes`.
  virtual Result<std::optional<Object>> get_if_changed(std::string_view key, std::string_view known_tag,
                                                       uint64_t max_bytes) = 0;
  // Keys that begin with `prefix` and lie above `start_after`; at most `max_keys` (1 to 1,000).
  virtual Result<ObjectPage> list(std::string_view prefix, std::string_view start_after, int max_keys) = 0;
  // The parts of keys between `prefix` and the next slash behind it, for keys that have one: the names of
  // the folders below, in order, all of them.
  virtual Result<std::vector<std::string>> list_folders(std::string_view prefix) = 0;
  // No error if there is none.
  virtual Status remove(std::string_view key) = 0;

  // What is under way and what comes later ends with kShutdown, soon.
  virtual void cancel() = 0;
  // "s3://bucket/prefix", "file:///path", for people; without a slash at its end.
  virtual std::string describe() const = 0;

  // get_if_changed() without a tag.
  Result<Object> get(std::string_view key, uint64_t max_bytes) {
    TM_ASSIGN(std::optional<Object> object, get_if_changed(key, {}, max_bytes));
    TM_CHECK(object.has_value());
    return std::move(*object);
  }
};

}  // namespace tidemark::backup
