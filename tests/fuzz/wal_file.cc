// A store whose log holds bytes from the fuzzer, through recovery and into use.
//
// First two bytes: how the store is used. Third: odd, and what follows is the newest WAL file as it is; even,
// and its parts are records, with right checksums unless told otherwise, of one file or a chain of them. What
// a log says that is accepted is the truth: all must show the same from then on.
#include "engine/format/file_names.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/records.h"
#include "tests/fuzz/store.h"

namespace tidemark::fuzz {
namespace {

enum Kind : uint8_t {
  kPromise =
      3,  // 0: all before the record; 1: all of the file but the record before; 2: none; 3: as 8 bytes say
  kSpoilHeader = 4,
  kSpoilPayload = 8,
  kNextFile = 16,   // the record begins another file
  kEndSaid = 32,    // where the file before ended is said by 2 bytes, instead of as it is
  kGap = 64,        // 64 zeros before the record
  kNoRecord = 128,  // bytes of none
};

// Writes the files, the first with the number kFreeNumber. The number of the last.
uint64_t write_log(MemoryFileSystem& files, std::string_view bytes) {
  uint64_t number = kFreeNumber, last_promise = kLogHeaderBytes;
  std::string file = log_header(LogKind::kWal, number);
  const auto path = [&] { return path_of(FileType::kWal, number); };
  for (const std::string_view part : split(bytes)) {
    Input in(part);
    const uint8_t kind = in.u8();
    if ((kind & kNextFile) != 0 && number < kFreeNumber + 16) {
      const uint64_t end = (kind & kEndSaid) != 0 ? in.u16() : file.size();
      files.put(path(), file);
      file = log_header(LogKind::kWal, number + 1, number, end);
      ++number;
    }
    if ((kind & kGap) != 0) file.append(64, '\0');
    if ((kind & kNoRecord) != 0) {
      file += in.rest();
      continue;
    }
    file.resize((file.size() + 7) / 8 * 8, '\0');
    RecordForm form;
    switch (kind & kPromise) {
      case 0:
        form.promised = file.size();
        break;
      case 1:
        form.promised = std::exchange(last_promise, file.size());
        break;
      case 2:
        form.promised = kLogHeaderBytes;
        break;
      default:
        form.promised = in.u64();
        break;
    }
    form.spoil_header = (kind & kSpoilHeader) != 0;
    form.spoil_payload = (kind & kSpoilPayload) != 0;
    add_record(file, LogKind::kWal, number, in.rest(), form);
  }
  files.put(path(), file);
  return number;
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark;
  using namespace tidemark::fuzz;
  Input input(data, size);
  const Usage usage{input.u16()};
  const bool raw = input.u8() % 2 == 1;
  ManifestState state = seed_store().state;
  state.next_file_number = 2 * kFreeNumber;
  state.oldest_wal = state.newest_wal = kFreeNumber;
  MemoryFileSystem log;
  TM_CHECK(log.create_dir(kFolder).has_value());
  if (!raw) state.newest_wal = write_log(log, input.rest());
  MemoryFileSystem files = store_with(state);
  for (uint64_t number = state.oldest_wal; number <= state.newest_wal; ++number) {
    const std::string path = path_of(FileType::kWal, number);
    files.put(path, raw ? std::string(input.rest()) : log.bytes(path));
  }
  Machine machine(files);
  use_store(machine, usage, true);
  return 0;
}
