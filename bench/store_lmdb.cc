// LMDB, a copy-on-write B+ tree in a memory map: no log, no compression, no cache of its own (the page cache
// is it).
//   synced      its default: data and meta page are synced at every commit
//   unsynced    MDB_NOSYNC with MDB_WRITEMAP, its fastest
//   MDB_NOTLS   read transactions belong to sessions, not to threads
//   MDB_NORDAHEAD  reads are random
//   values      pointers into the map; the read transaction is renewed for every call, which is cheap
#include <lmdb.h>

#include "bench/store.h"

namespace tidemark::bench {

namespace {

// Address space only.
constexpr size_t kMapBytes = size_t{16} << 30;

void check(int code, const char* what) {
  if (code != MDB_SUCCESS) {
    die(std::string("lmdb: ") + what + ": " + mdb_strerror(code));
  }
}

MDB_val val(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}
std::string_view view(const MDB_val& bytes) {
  return {static_cast<const char*>(bytes.mv_data), bytes.mv_size};
}

class LmdbSession final : public Session {
 public:
  LmdbSession(MDB_env* env, MDB_dbi dbi) : env_(env), dbi_(dbi) {}
  ~LmdbSession() override {
    if (cursor_ != nullptr) {
      mdb_cursor_close(cursor_);
    }
    if (reader_ != nullptr) {
      mdb_txn_abort(reader_);
    }
  }

  void put(std::string_view key, std::string_view value) override {
    release();
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn), "begin");
    MDB_val k = val(key);
    MDB_val v = val(value);
    check(mdb_put(txn, dbi_, &k, &v, 0), "put");
    check(mdb_txn_commit(txn), "commit");
  }

  void put_batch(std::span<const Entry> entries) override {
    release();
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn), "begin");
    for (const Entry& entry : entries) {
      MDB_val k = val(entry.key);
      MDB_val v = val(entry.value);
      check(mdb_put(txn, dbi_, &k, &v, 0), "put");
    }
    check(mdb_txn_commit(txn), "commit");
  }

  std::optional<std::string_view> get(std::string_view key) override {
    refresh();
    MDB_val k = val(key);
    MDB_val v;
    const int code = mdb_get(reader_, dbi_, &k, &v);
    if (code == MDB_NOTFOUND) {
      return std::nullopt;
    }
    check(code, "get");
    return view(v);
  }

  void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check_entry) override {
    refresh();
    if (cursor_ == nullptr) {
      check(mdb_cursor_open(reader_, dbi_, &cursor_), "cursor");
    } else {
      check(mdb_cursor_renew(reader_, cursor_), "cursor");
    }
    MDB_val k = val(start);
    MDB_val v;
    int code = mdb_cursor_get(cursor_, &k, &v, MDB_SET_RANGE);
    if (reverse) {
      if (code == MDB_NOTFOUND) {
        code = mdb_cursor_get(cursor_, &k, &v, MDB_LAST);
      } else if (code == MDB_SUCCESS && view(k) > start) {
        code = mdb_cursor_get(cursor_, &k, &v, MDB_PREV);
      }
    }
    for (uint64_t i = 0; i < limit && code == MDB_SUCCESS; ++i) {
      if (i != 0) {
        code = mdb_cursor_get(cursor_, &k, &v, reverse ? MDB_PREV : MDB_NEXT);
        if (code != MDB_SUCCESS) {
          break;
        }
      }
      check_entry.entry(view(k), view(v));
    }
    if (code != MDB_NOTFOUND) {
      check(code, "scan");
    }
  }

 private:
  // Lets go of the snapshot of the last read.
  void release() {
    if (live_) {
      mdb_txn_reset(reader_);
      live_ = false;
    }
  }
  void refresh() {
    release();
    if (reader_ == nullptr) {
      check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader_), "begin");
    } else {
      check(mdb_txn_renew(reader_), "renew");
    }
    live_ = true;
  }

  MDB_env* env_;
  MDB_dbi dbi_;
  MDB_txn* reader_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  bool live_ = false;
};

class LmdbStore final : public Store {
 public:
  LmdbStore(const std::string& dir, const StoreOptions& options) {
    check(mdb_env_create(&env_), "create");
    check(mdb_env_set_mapsize(env_, kMapBytes), "map size");
    const unsigned unsynced = options.sync ? 0u : (MDB_NOSYNC | MDB_WRITEMAP);
    check(mdb_env_open(env_, dir.c_str(), MDB_NOTLS | MDB_NORDAHEAD | unsynced, 0600), "open");
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn), "begin");
    check(mdb_dbi_open(txn, nullptr, 0, &dbi_), "open");
    check(mdb_txn_commit(txn), "commit");
  }
  ~LmdbStore() override { mdb_env_close(env_); }

  std::unique_ptr<Session> session() override { return std::make_unique<LmdbSession>(env_, dbi_); }

  void settle() override { check(mdb_env_sync(env_, 1), "sync"); }

 private:
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace

std::unique_ptr<Store> open_lmdb(const std::string& dir, const StoreOptions& options) {
  return std::make_unique<LmdbStore>(dir, options);
}

}  // namespace tidemark::bench
