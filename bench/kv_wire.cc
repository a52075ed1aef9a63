#include "bench/kv_wire.h"

namespace tidemark::bench {

namespace {

constexpr uint32_t kVarint = 0;
constexpr uint32_t kBytes = 2;

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_varint(out, field << 3 | kBytes);
  put_varint(out, bytes.size());
  out.append(bytes);
}

void put_number(std::string& out, uint32_t field, uint64_t value) {
  put_varint(out, field << 3 | kVarint);
  put_varint(out, value);
}

void put_set(std::string& write, std::string_view key, std::string_view value, int64_t expire_at_ms) {
  std::string kv_value;
  put_bytes(kv_value, 1, value);
  put_number(kv_value, 2, 3);  // VE_BYTES
  std::string mutation;
  put_bytes(mutation, 1, key);
  put_bytes(mutation, 2, kv_value);
  put_number(mutation, 3, 1);  // M_SET
  if (expire_at_ms != 0) put_number(mutation, 4, static_cast<uint64_t>(expire_at_ms));
  put_bytes(write, 2, mutation);
}

// Walks the fields of a message; ends early on anything malformed.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}
  // False at the end.
  bool next() {
    uint64_t tag = 0;
    if (rest_.empty() || !varint(tag)) {
      return false;
    }
    field = static_cast<uint32_t>(tag >> 3);
    bytes = {};
    number = 0;
    if ((tag & 7) == kVarint) {
      return varint(number);
    }
    uint64_t size = 0;
    if ((tag & 7) != kBytes || !varint(size) || size > rest_.size()) {
      return false;
    }
    bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  uint32_t field = 0;
  uint64_t number = 0;
  std::string_view bytes;

 private:
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        return true;
      }
    }
    return false;
  }
  std::string_view rest_;
};

}  // namespace

std::string kv_key(std::initializer_list<std::string_view> parts) {
  std::string key;
  for (const std::string_view part : parts) {
    key.push_back('\x02');
    for (const char c : part) {
      key.push_back(c);
      if (c == '\0') {
        key.push_back('\xff');
      }
    }
    key.push_back('\0');
  }
  return key;
}

std::string atomic_set(std::string_view key, std::string_view value) {
  std::string write;
  put_set(write, key, value, 0);
  return write;
}

std::string atomic_sets(const std::vector<std::string>& keys, std::string_view value, int64_t expire_at_ms) {
  std::string write;
  for (const std::string& key : keys) put_set(write, key, value, expire_at_ms);
  return write;
}

std::string point_read(std::string_view key) {
  std::string range;
  put_bytes(range, 1, key);
  put_bytes(range, 2, std::string(key) + '\0');
  put_number(range, 3, 1);
  std::string read;
  put_bytes(read, 1, range);
  return read;
}

bool write_succeeded(std::string_view output) {
  bool success = false;
  bool stamped = false;
  for (Fields f(output); f.next();) {
    success |= f.field == 1 && f.number == 1;
    stamped |= f.field == 2 && f.bytes.size() == 10;
  }
  return success && stamped;
}

std::optional<std::string_view> single_value(std::string_view output) {
  std::optional<std::string_view> value;
  int entries = 0;
  for (Fields answer(output); answer.next();) {
    if (answer.field != 1) {
      continue;
    }
    for (Fields range(answer.bytes); range.next();) {
      if (range.field != 1) {
        continue;
      }
      ++entries;
      for (Fields entry(range.bytes); entry.next();) {
        if (entry.field == 2) {
          value = entry.bytes;
        }
      }
    }
  }
  return entries == 1 ? value : std::nullopt;
}

}  // namespace tidemark::bench
