// LevelDB.
//   compression        Snappy: version 1.23 has no LZ4
//   filter             Bloom filter, 10 bits per key
//   write_buffer_size  as everybody's memtable
//   max_file_size      8 MiB rather than 2, fewer tables to look into
//   checksums          verified on every block read from a file, as the others do
//   recovery           reuse_logs: the replayed log is kept rather than written out, which opens sooner
//   values             copied into a string that is used again (LevelDB has no other way)
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>
#include <leveldb/write_batch.h>

#include "bench/store.h"

namespace tidemark::bench {

namespace {

void check(const leveldb::Status& status, const char* what) {
  if (!status.ok()) {
    die(std::string("leveldb: ") + what + ": " + status.ToString());
  }
}

leveldb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view view(const leveldb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

class LeveldbSession final : public Session {
 public:
  LeveldbSession(leveldb::DB& db, bool sync) : db_(db) {
    write_.sync = sync;
    read_.verify_checksums = true;
  }

  void put(std::string_view key, std::string_view value) override {
    check(db_.Put(write_, slice(key), slice(value)), "put");
  }

  void put_batch(std::span<const Entry> entries) override {
    leveldb::WriteBatch batch;
    for (const Entry& entry : entries) {
      batch.Put(entry.key, entry.value);
    }
    check(db_.Write(write_, &batch), "write");
  }

  std::optional<std::string_view> get(std::string_view key) override {
    const leveldb::Status status = db_.Get(read_, slice(key), &value_);
    if (status.IsNotFound()) {
      return std::nullopt;
    }
    check(status, "get");
    return value_;
  }

  void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check_entry) override {
    std::unique_ptr<leveldb::Iterator> iterator(db_.NewIterator(read_));
    iterator->Seek(slice(start));
    if (reverse) {
      if (!iterator->Valid()) {
        iterator->SeekToLast();
      } else if (view(iterator->key()) > start) {
        iterator->Prev();
      }
    }
    for (uint64_t i = 0; i < limit && iterator->Valid(); ++i) {
      if (i != 0) {
        reverse ? iterator->Prev() : iterator->Next();
        if (!iterator->Valid()) {
          break;
        }
      }
      check_entry.entry(view(iterator->key()), view(iterator->value()));
    }
    check(iterator->status(), "scan");
  }

 private:
  leveldb::DB& db_;
  leveldb::WriteOptions write_;
  leveldb::ReadOptions read_;
  std::string value_;
};

class LeveldbStore final : public Store {
 public:
  LeveldbStore(const std::string& dir, const StoreOptions& options)
      : sync_(options.sync),
        cache_(leveldb::NewLRUCache(options.cache_bytes)),
        filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options o;
    o.create_if_missing = true;
    o.compression = leveldb::kSnappyCompression;
    o.write_buffer_size = options.write_buffer_bytes;
    o.max_file_size = size_t{8} << 20;
    o.block_cache = cache_.get();
    o.filter_policy = filter_.get();
    o.reuse_logs = true;
    leveldb::DB* db = nullptr;
    check(leveldb::DB::Open(o, dir, &db), "open");
    db_.reset(db);
  }

  std::unique_ptr<Session> session() override { return std::make_unique<LeveldbSession>(*db_, sync_); }

  void settle() override { db_->CompactRange(nullptr, nullptr); }

 private:
  const bool sync_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;  // destroyed first
};

}  // namespace

std::unique_ptr<Store> open_leveldb(const std::string& dir, const StoreOptions& options) {
  return std::make_unique<LeveldbStore>(dir, options);
}

}  // namespace tidemark::bench
