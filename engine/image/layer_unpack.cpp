#include "image/layer_unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <thread>

#include "base/file.h"
#include "image/chunk_queue.h"
#include "image/decompress.h"
#include "image/digest.h"
#include "image/limits.h"

namespace engine::image {
namespace {

using base::Code;
using base::Error;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr size_t kPackedAhead = 2u << 20, kUnpackedAhead = 3u << 20;
constexpr size_t kPiece = 256u << 10;  // libcurl gives 16 KiB at a time: too little to wake a thread for
constexpr uint64_t kSmall = 256u << 10, kWriteback = 8u << 20;

/// The packed form on its way to a file, perhaps gzipped here.
class BlobWriter {
public:
    BlobWriter(const LayerInput& input, const Staging& staging) : input_(input), path_(staging.blob()) {}

    Status write(std::string_view bytes) {
        if (!input_.keep_blob) return {};
        if (!file_) {
            file_ = TRY(base::open_at(AT_FDCWD, path_, O_WRONLY | O_CREAT | O_TRUNC, 0600));
            if (input_.pack_plain && packing_of(bytes) == Packing::plain)
                gzip_.emplace([this](std::string_view packed) { return out(packed); });
        }
        return gzip_ ? gzip_->write(bytes) : out(bytes);
    }
    Status finish(UnpackedLayer& layer) {
        if (!input_.keep_blob) return {};
        if (!file_) TRY_VOID(write({}));
        if (gzip_) TRY_VOID(gzip_->finish());
        // On disk before it is visible: the unpacked tree can be made of it again (verify), not the other way round.
        if (::fdatasync(file_.get()) != 0) return fail_errno("write \"" + path_ + "\"");
        layer.blob_size = size_;
        layer.packed_here = gzip_.has_value();
        if (input_.hash_blob || gzip_) layer.blob = hasher_.digest();
        return {};
    }

private:
    Status out(std::string_view bytes) {
        size_ += bytes.size();
        if (input_.hash_blob || gzip_) hasher_.update(bytes);
        TRY_VOID(base::write_all(file_.get(), bytes).context("write \"" + path_ + "\""));
        // Begun early, so that the wait at the end is short; it only hastens what the kernel does anyway.
        if (size_ - begun_ >= kWriteback) {
            (void)::sync_file_range(file_.get(), static_cast<off64_t>(begun_), static_cast<off64_t>(size_ - begun_), SYNC_FILE_RANGE_WRITE);
            begun_ = size_;
        }
        return {};
    }
    const LayerInput& input_;
    std::string path_;
    UniqueFd file_;
    Hasher hasher_;
    std::optional<GzipWriter> gzip_;
    uint64_t size_ = 0, begun_ = 0;
};

/// The first failure of the three threads; it stops the others.
class FirstError {
public:
    explicit FirstError(std::vector<ChunkQueue*> queues) : queues_(std::move(queues)) {}
    void set(Error error) {
        std::lock_guard lock(mutex_);
        if (!error_) error_ = std::move(error);
        for (ChunkQueue* queue : queues_) queue->abort();
    }
    std::optional<Error> take() {
        std::lock_guard lock(mutex_);
        return std::move(error_);
    }

private:
    std::mutex mutex_;
    std::optional<Error> error_;
    std::vector<ChunkQueue*> queues_;
};

Source source_of(ChunkQueue& queue) {
    return [&queue, chunk = std::string()]() mutable -> Result<std::string_view> {
        if (queue.pop(chunk)) return std::string_view(chunk);
        if (queue.aborted()) return fail(Code::interrupted, "stopped");
        return std::string_view();
    };
}

class LayerUnpacker {
public:
    LayerUnpacker(const Staging& staging, const LayerInput& input) : staging_(staging), input_(input), hasher_(algorithm_of(input.expected_diff_id)) {}

    Result<UnpackedLayer> run() {
        limits_ = TRY(image_limits());
        if (::mkdir(staging_.tree().c_str(), 0755) != 0) return fail_errno("make folder \"" + staging_.tree() + "\"");
        if (::chmod(staging_.tree().c_str(), 0755) != 0) return fail_errno("set the mode of \"" + staging_.tree() + "\"");
        tree_ = TRY(base::open_at(AT_FDCWD, staging_.tree(), O_RDONLY | O_DIRECTORY));
        bool small = input_.size_hint > 0 && input_.size_hint <= kSmall;
        if (auto done = small ? in_line() : in_threads(); !done) return std::move(done.error());
        layer_.diff_id = hasher_.digest();
        if (!input_.expected_diff_id.empty() && layer_.diff_id != input_.expected_diff_id)
            return fail(Code::corrupt, input_.subject + ": unpacks to " + layer_.diff_id + ", the configuration promises " + input_.expected_diff_id);
        return std::move(layer_);
    }

private:
    /// The unpacked bytes, hashed as they pass.
    Source hashed(Source packed) {
        return [this, source = unpacked(std::move(packed), {.bytes = limits_.bytes, .ratio = limits_.ratio})]() mutable -> Result<std::string_view> {
            auto bytes = source();
            if (!bytes) {
                if (bytes.error().code == Code::corrupt) bytes.error().what = input_.subject + ": " + bytes.error().what;
                return bytes;
            }
            hasher_.update(*bytes);
            unpacked_ += bytes->size();
            if (input_.progress) input_.progress(unpacked_);
            return bytes;
        };
    }

    Status extract(const Source& source) {
        ExtractOptions options;
        options.limits.entries = limits_.entries;
        options.limits.bytes = limits_.bytes;
        options.layer = true;
        options.subject = input_.subject;
        options.cancel = input_.cancel;
        Extracted extracted = TRY(extract_tar(tree_.get(), source, options));
        layer_.size = extracted.bytes;
        layer_.links_below = std::move(extracted.links_below);
        return {};
    }

    Status in_line() {
        std::string packed;
        BlobWriter blob(input_, staging_);
        TRY_VOID(input_.produce([&](std::string_view bytes) -> Status {
            packed += bytes;
            return {};
        }));
        TRY_VOID(blob.write(packed));
        TRY_VOID(blob.finish(layer_));
        bool given = false;
        return extract(hashed([&]() -> Result<std::string_view> { return std::exchange(given, true) ? std::string_view() : std::string_view(packed); }));
    }

    Status in_threads() {
        ChunkQueue packed(kPackedAhead), plain(kUnpackedAhead);
        FirstError failed({&packed, &plain});
        std::thread unpack([&] {
            Source source = hashed(source_of(packed));
            for (;;) {
                auto bytes = source();
                if (!bytes) return failed.set(std::move(bytes.error()));
                if (bytes->empty()) return plain.finish();
                if (!plain.push(*bytes)) return;
            }
        });
        std::thread write([&] {
            if (auto done = extract(source_of(plain)); !done) failed.set(std::move(done.error()));
        });
        BlobWriter blob(input_, staging_);
        std::string piece;
        auto pass_on = [&]() -> Status {
            TRY_VOID(blob.write(piece));
            if (!packed.push(piece)) return fail(Code::interrupted, "stopped");
            piece.clear();
            return {};
        };
        auto produced = input_.produce([&](std::string_view bytes) -> Status {
            piece += bytes;
            return piece.size() < kPiece ? Status() : pass_on();
        });
        if (produced && !piece.empty()) produced = pass_on();
        if (produced) produced = blob.finish(layer_);
        if (produced)
            packed.finish();
        else
            failed.set(std::move(produced.error()));
        unpack.join();
        write.join();
        if (auto error = failed.take()) return std::move(*error);
        return {};
    }

    const Staging& staging_;
    const LayerInput& input_;
    ImageLimits limits_;
    Hasher hasher_;
    UniqueFd tree_;
    UnpackedLayer layer_;
    uint64_t unpacked_ = 0;
};

}  // namespace

Result<UnpackedLayer> unpack_layer(const Staging& staging, const LayerInput& input) { return LayerUnpacker(staging, input).run(); }

}  // namespace engine::image
