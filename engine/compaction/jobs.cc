#include "engine/compaction/jobs.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/hash.h"
#include "engine/base/mutant.h"
#include "engine/changes/change_file.h"
#include "engine/compaction/output_files.h"
#include "engine/compaction/version_splitter.h"
#include "engine/format/filter.h"
#include "engine/mvcc/merging_iterator.h"
#include "engine/mvcc/point_read.h"
#include "engine/mvcc/run_iterator.h"
#include "engine/mvcc/visibility.h"

namespace tidemark {
namespace {

void add_outputs(ManifestEdit& edit, const OutputFiles& files, uint64_t place) {
  for (const SegmentMeta& meta : files.files()) edit.added_segments.push_back({place, meta});
}

// Segments of one job's history output make one run, named by its first file.
void add_history(ManifestEdit& edit, const OutputFiles& history) {
  if (!history.files().empty()) add_outputs(edit, history, history.files().front().number);
}

void add_horizon(ManifestEdit& edit, const JobContext& context) {
  if (!TM_MUTANT("engine.forget-horizon")) edit.horizon = context.horizon;
  edit.retention_clock_ms = context.retention_clock_ms;
}

// Only plans of history do this: one at a time, so that no file is removed twice.
void add_change_removal(ManifestEdit& edit, const JobContext& context) {
  for (const auto& [number, meta] : context.versions.manifest_state().changes)
    if (meta.last_stamp < context.horizon) edit.removed_changes.push_back(number);
}

// Makes the new files' folder entries durable, then the edit; then removes change files that it let go. From
// the edit on the files are the manifest's: if writing it fails, it may be there all the same, and only
// recovery can tell.
Status publish(const JobContext& context, const ManifestEdit& edit,
               std::initializer_list<OutputFiles*> outputs, const Memtable* flushed = nullptr) {
  VersionSet& versions = context.versions;
  if (!TM_MUTANT("engine.skip-folder-sync")) TM_TRY(versions.fs().sync_dir(versions.dir()));
  for (OutputFiles* files : outputs) files->release();
  TM_TRY(versions.apply(edit, flushed));
  for (const OutputFiles* files : outputs)
    for (const SegmentMeta& meta : files->files()) context.written_bytes += meta.file_bytes;
  for (uint64_t number : edit.removed_changes)
    (void)versions.fs().remove(versions.path(FileType::kChanges, number)).has_value();
  return {};
}

Status write_changes(VersionSet& versions, const Memtable& memtable, const std::string& path, uint64_t number,
                     ManifestEdit& edit) {
  TM_ASSIGN(auto writer,
            ChangeFileWriter::create(versions.fs(), path, number, xxh3(versions.database_id(), number)));
  for (size_t i = 0; i < memtable.commit_count(); ++i) {
    const Memtable::Commit& commit = memtable.commit(i);
    TM_TRY(writer->begin_commit(commit.stamp, commit.timestamp_ms,
                                static_cast<uint32_t>(commit.end_write - commit.first_write)));
    for (uint64_t w = commit.first_write; w < commit.end_write; ++w) {
      const Memtable::Write write = memtable.write(w);
      writer->add_write(write.kind, write.key);
    }
  }
  TM_ASSIGN(ChangeFileMeta meta, writer->finish());
  edit.added_changes.push_back(meta);
  return {};
}

// Hands on every entry of all sources, in order. kShutdown when the database is being closed.
template <class Add>
Status merge(const JobContext& context, std::vector<std::unique_ptr<EntryIterator>> sources, Add&& add) {
  MergingIterator merged(std::move(sources));
  for (merged.seek({}, Versionstamp::max()); merged.valid(); merged.next()) {
    if (context.stopping.load(std::memory_order_relaxed))
      return fail(ErrorCode::kShutdown, "a merge was given up");
    TM_TRY(add(merged));
  }
  return merged.status();
}

Status merge_live(const JobContext& context, const CompactionPlan& plan) {
  const auto state = context.versions.acquire();
  const Version& version = *state->version;
  const size_t output_level = plan.level + 1;
  const SegmentReadOptions read = SegmentReadOptions::once_through();
  std::vector<std::unique_ptr<EntryIterator>> sources;
  if (plan.level == 0) {
    for (const SegmentRef& s : plan.upper)
      sources.push_back(std::make_unique<RunIterator>(SortedRun{s}, read));
  } else {
    sources.push_back(std::make_unique<RunIterator>(plan.upper, read));
  }
  if (!plan.lower.empty()) sources.push_back(std::make_unique<RunIterator>(plan.lower, read));

  OutputFiles live(context.versions, context.options, SegmentKind::kLive, context.options.segment_bytes);
  OutputFiles history(context.versions, context.options, SegmentKind::kHistory,
                      context.options.segment_bytes);
  VersionSplitter splitter(live, history, context.horizon, [&](std::string_view key) {
    return !live_may_contain(version, output_level + 1, key, filter_hash(key));
  });
  TM_TRY(merge(context, std::move(sources), [&](const EntryIterator& entry) { return splitter.add(entry); }));
  TM_TRY(live.finish());
  TM_TRY(history.finish());

  ManifestEdit edit;
  add_outputs(edit, live, output_level);
  add_history(edit, history);
  for (const SegmentRef& s : plan.upper) edit.removed_segments.push_back(s->meta().number);
  for (const SegmentRef& s : plan.lower) edit.removed_segments.push_back(s->meta().number);
  add_horizon(edit, context);
  return publish(context, edit, {&live, &history});
}

Status merge_history(const JobContext& context, const CompactionPlan& plan) {
  const SegmentReadOptions read = SegmentReadOptions::once_through();
  std::vector<std::unique_ptr<EntryIterator>> sources;
  ManifestEdit edit;
  for (const HistoryRun& run : plan.runs) {
    sources.push_back(std::make_unique<RunIterator>(run.segments, read));
    for (const SegmentRef& s : run.segments) edit.removed_segments.push_back(s->meta().number);
  }
  OutputFiles history(context.versions, context.options, SegmentKind::kHistory,
                      context.options.segment_bytes);
  std::string key;
  Versionstamp stamp;
  bool any = false;
  TM_TRY(merge(context, std::move(sources), [&](const EntryIterator& entry) -> Status {
    if (any && entry.stamp() == stamp && entry.key() == key) return {};
    any = true;
    key = entry.key();
    stamp = entry.stamp();
    if (droppable(entry.superseded(), context.horizon)) return {};
    return history.add(entry.key(), entry.stamp(), entry.superseded(), entry.tombstone(), entry.value());
  }));
  TM_TRY(history.finish());
  add_history(edit, history);
  add_horizon(edit, context);
  add_change_removal(edit, context);
  return publish(context, edit, {&history});
}

// Only what is at or below a ceiling, forwards; what superseded it beyond the ceiling did so in another line
// of history.
class CeilingIterator final : public EntryIterator {
 public:
  CeilingIterator(std::unique_ptr<EntryIterator> base, Versionstamp ceiling)
      : base_(std::move(base)), ceiling_(ceiling) {}

  bool seek(std::string_view key, Versionstamp stamp) override {
    base_->seek(key, stamp);
    return show();
  }
  bool next() override {
    base_->next();
    return show();
  }
  bool seek_before(std::string_view) override { return end(); }
  bool prev() override { return end(); }

 private:
  bool show() {
    while (base_->valid() && base_->stamp() > ceiling_) base_->next();
    if (!base_->valid()) return base_->status() ? end() : error(base_->status().error());
    key_ = base_->key();
    value_ = base_->value();
    stamp_ = base_->stamp();
    superseded_ = base_->superseded() > ceiling_ ? Versionstamp::max() : base_->superseded();
    tombstone_ = base_->tombstone();
    return valid_ = true;
  }

  const std::unique_ptr<EntryIterator> base_;
  const Versionstamp ceiling_;
};

// Nothing is beneath what is shared, so it goes to the deepest level, which is empty, and to a run of
// history.
Status own_shared(const JobContext& context) {
  const auto state = context.versions.acquire();
  const Version& version = *state->version;
  TM_CHECK(version.live[kLevels - 1].empty());
  const SegmentReadOptions read = SegmentReadOptions::once_through();
  std::vector<std::unique_ptr<EntryIterator>> sources;
  ManifestEdit edit;
  for (const SharedRun& run : version.shared) {
    sources.push_back(
        std::make_unique<CeilingIterator>(std::make_unique<RunIterator>(run.segments, read), run.ceiling));
    for (const SegmentRef& s : run.segments) edit.removed_segments.push_back(s->meta().number);
  }
  OutputFiles live(context.versions, context.options, SegmentKind::kLive, context.options.segment_bytes);
  OutputFiles history(context.versions, context.options, SegmentKind::kHistory,
                      context.options.segment_bytes);
  // The newest may have been superseded by what is gone: a tombstone that had nothing beneath it.
  VersionSplitter splitter(live, history, context.horizon, [](std::string_view) { return true; });
  TM_TRY(merge(context, std::move(sources), [&](const EntryIterator& entry) { return splitter.add(entry); }));
  TM_TRY(live.finish());
  TM_TRY(history.finish());
  add_outputs(edit, live, kLevels - 1);
  add_history(edit, history);
  add_horizon(edit, context);
  return publish(context, edit, {&live, &history});
}

}  // namespace

Status flush_memtable(const JobContext& context, const Memtable& memtable, uint64_t oldest_wal) {
  VersionSet& versions = context.versions;
  const auto state = versions.acquire();
  OutputFiles live(versions, context.options, SegmentKind::kLive, 0);
  OutputFiles history(versions, context.options, SegmentKind::kHistory, 0);
  VersionSplitter splitter(live, history, context.horizon, [&](std::string_view key) {
    return !live_may_contain(*state->version, 0, key, filter_hash(key));
  });
  Memtable::Iterator it(memtable);
  for (it.seek({}, Versionstamp::max()); it.valid(); it.next()) TM_TRY(splitter.add(it));
  TM_TRY(live.finish());
  TM_TRY(history.finish());

  ManifestEdit edit;
  add_outputs(edit, live, 0);
  add_history(edit, history);
  edit.flushed_stamp = memtable.last_stamp();
  edit.flushed_timestamp_ms = memtable.last_timestamp_ms();
  edit.oldest_wal = oldest_wal;
  add_horizon(edit, context);
  const uint64_t changes_number = versions.new_file_number();
  const std::string changes_path = versions.path(FileType::kChanges, changes_number);
  if (Status written = write_changes(versions, memtable, changes_path, changes_number, edit); !written) {
    (void)versions.fs().remove(changes_path).has_value();
    return written;
  }
  return publish(context, edit, {&live, &history}, &memtable);
}

bool changes_below(const ManifestState& state, Versionstamp horizon) {
  return std::any_of(state.changes.begin(), state.changes.end(),
                     [&](const auto& change) { return change.second.last_stamp < horizon; });
}

Status run_plan(const JobContext& context, const CompactionPlan& plan) {
  ManifestEdit edit;
  switch (plan.kind) {
    case CompactionPlan::Kind::kNone:
      return {};
    case CompactionPlan::Kind::kMergeLive:
      return merge_live(context, plan);
    case CompactionPlan::Kind::kMergeHistory:
      return merge_history(context, plan);
    case CompactionPlan::Kind::kOwnShared:
      return own_shared(context);
    case CompactionPlan::Kind::kTrimChanges:
      break;
    case CompactionPlan::Kind::kDropHistory:
      for (const SegmentRef& s : plan.upper) edit.removed_segments.push_back(s->meta().number);
      break;
    case CompactionPlan::Kind::kMoveLive:
      for (const SegmentRef& s : plan.upper) {
        edit.removed_segments.push_back(s->meta().number);
        edit.added_segments.push_back({plan.level + 1, s->meta()});
      }
      break;
  }
  add_horizon(edit, context);
  if (plan.kind != CompactionPlan::Kind::kMoveLive) add_change_removal(edit, context);
  return publish(context, edit, {});
}

}  // namespace tidemark
