// RocksDB.
//   compression             LZ4 on every level, as Tidemark
//   filter                  full Bloom filter, 10 bits per key
//   checksums               XXH3: Debian's build has no hardware CRC32C for blocks (the log still uses
//   CRC32C) index, filter blocks    held by the open tables, outside the cache: the faster choice when memory
//   allows data blocks             4 KiB with the hash index for point reads max_background_jobs     2, as
//   many as there are cores recovery                the memtable that was replayed is kept rather than
//   written out, which opens sooner values                  read through a PinnableSlice, without a copy
//   where the block cache holds them
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "bench/store.h"

namespace tidemark::bench {

namespace {

void check(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) {
    die(std::string("rocksdb: ") + what + ": " + status.ToString());
  }
}

rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

class RocksdbSession final : public Session {
 public:
  RocksdbSession(rocksdb::DB& db, bool sync) : db_(db), family_(db.DefaultColumnFamily()) {
    write_.sync = sync;
  }

  void put(std::string_view key, std::string_view value) override {
    check(db_.Put(write_, family_, slice(key), slice(value)), "put");
  }

  void put_batch(std::span<const Entry> entries) override {
    rocksdb::WriteBatch batch;
    for (const Entry& entry : entries) {
      check(batch.Put(entry.key, entry.value), "put");
    }
    check(db_.Write(write_, &batch), "write");
  }

  std::optional<std::string_view> get(std::string_view key) override {
    value_.Reset();
    const rocksdb::Status status = db_.Get(read_, family_, slice(key), &value_);
    if (status.IsNotFound()) {
      return std::nullopt;
    }
    check(status, "get");
    return view(value_);
  }

  void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check_entry) override {
    std::unique_ptr<rocksdb::Iterator> iterator(db_.NewIterator(read_, family_));
    if (reverse) {
      iterator->SeekForPrev(slice(start));
    } else {
      iterator->Seek(slice(start));
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
  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle* family_;
  rocksdb::WriteOptions write_;
  rocksdb::ReadOptions read_;
  rocksdb::PinnableSlice value_;
};

class RocksdbStore final : public Store {
 public:
  RocksdbStore(const std::string& dir, const StoreOptions& options) : sync_(options.sync) {
    rocksdb::Options o;
    o.create_if_missing = true;
    o.compression = rocksdb::kLZ4Compression;
    o.write_buffer_size = options.write_buffer_bytes;
    o.max_background_jobs = 2;
    o.avoid_flush_during_recovery = true;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(options.cache_bytes);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.checksum = rocksdb::kXXH3;
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(o, dir, &db), "open");
    db_.reset(db);
  }
  ~RocksdbStore() override { check(db_->Close(), "close"); }

  std::unique_ptr<Session> session() override { return std::make_unique<RocksdbSession>(*db_, sync_); }

  void settle() override {
    check(db_->Flush(rocksdb::FlushOptions()), "flush");
    check(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr), "compact");
  }

 private:
  const bool sync_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<Store> open_rocksdb(const std::string& dir, const StoreOptions& options) {
  return std::make_unique<RocksdbStore>(dir, options);
}

}  // namespace tidemark::bench
