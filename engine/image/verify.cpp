// Verifying: blobs are hashed, layers unpacked once more and compared with what is there; what differs is mended.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "image/digest.h"
#include "image/registry.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::UniqueFd;

Result<std::string> hash_file(const std::string& path, const std::string& algorithm) {
    UniqueFd file = TRY(base::open_at(AT_FDCWD, path, O_RDONLY));
    Source source = from_fd(file.get());
    Hasher hasher(algorithm);
    for (;;) {
        std::string_view bytes = TRY(source());
        if (bytes.empty()) return hasher.digest();
        hasher.update(bytes);
    }
}

/// The hash of a tree's packed form: names, attributes, content.
Result<std::string> hash_tree(const std::string& path) {
    UniqueFd folder = TRY(base::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
    Hasher hasher;
    PackOptions options;
    options.whiteouts = true;
    options.folder_times = false;
    TRY_VOID(pack_tree(folder.get(), options, [&](std::string_view bytes) -> Status {
        hasher.update(bytes);
        return {};
    }));
    return hasher.digest();
}

class Verifier {
public:
    Verifier(ImageStore::Impl& store, bool repair) : store_(store), repair_(repair) {}

    Result<std::vector<std::string>> run() {
        for (const LayerRow& row : TRY(store_.tables.layers())) {
            ByteLock lock = TRY(store_.files.lock_layer(row.key, nullptr));
            if (TRY(blob(row))) TRY_VOID(tree(row));
        }
        return std::move(lines_);
    }

private:
    void say(const LayerRow& row, const std::string& what) { lines_.push_back("layer " + row.diff_id + ": " + what); }

    /// Whether the packed form is right, perhaps after it was fetched again.
    Result<bool> blob(const LayerRow& row) {
        std::string path = store_.files.blob_path(row.blob);
        auto hash = hash_file(path, algorithm_of(row.blob));
        if (hash && *hash == row.blob) return true;
        std::string wrong = hash ? "its packed form hashes to " + *hash : "its packed form is lost";
        if (!repair_) {
            say(row, wrong);
            return false;
        }
        auto fetched = fetch(row, path);
        say(row, wrong + (fetched ? ": fetched again" : ": " + fetched.error().message()));
        return fetched.has_value();
    }

    Status fetch(const LayerRow& row, const std::string& path) {
        auto [domain, repository] = TRY(source_of(row.blob));
        Reference reference;
        reference.domain = domain;
        reference.path = repository;
        Staging staging = TRY(store_.files.stage());
        UniqueFd file = TRY(base::open_at(AT_FDCWD, staging.blob(), O_WRONLY | O_CREAT, 0600));
        RegistryClient client(RegistryOptions{});
        TRY_VOID(client.blob(reference, {.media_type = row.media_type, .digest = row.blob, .size = row.blob_size, .platform = {}, .annotations = {}, .urls = {}},
                             [&](std::string_view bytes) { return base::write_all(file.get(), bytes); }));
        if (::rename(staging.blob().c_str(), path.c_str()) != 0) return base::fail_errno("replace \"" + path + "\"");
        return {};
    }
    Result<std::pair<std::string, std::string>> source_of(const std::string& digest) {
        auto sources = TRY(store_.tables.sources(digest));
        if (sources.empty()) return fail(Code::not_found, "no registry is known to have it; build, load or import the image again");
        return sources[0];
    }

    Status tree(const LayerRow& row) {
        if (row.key.starts_with("chain-")) return {};  // it holds files of other layers too
        Staging staging = TRY(store_.files.stage());
        std::string path = store_.files.blob_path(row.blob);
        LayerInput input;
        input.keep_blob = false;
        input.expected_diff_id = row.diff_id;
        input.subject = "layer " + row.diff_id;
        input.produce = [&](const Sink& sink) -> Status {
            UniqueFd file = TRY(base::open_at(AT_FDCWD, path, O_RDONLY));
            Source source = from_fd(file.get());
            for (;;) {
                std::string_view bytes = TRY(source());
                if (bytes.empty()) return {};
                TRY_VOID(sink(bytes));
            }
        };
        if (auto made = unpack_layer(staging, input); !made) {
            say(row, made.error().message());
            return {};
        }
        auto there = hash_tree(store_.files.layer_path(row.key));
        auto right = TRY(hash_tree(staging.tree()));
        if (there && *there == right) return {};
        std::string wrong = there ? "its files differ from what was pulled" : "its folder is lost";
        if (repair_) {
            TRY_VOID(store_.files.discard(store_.files.layer_path(row.key)));
            TRY_VOID(store_.files.publish(staging.tree(), store_.files.layer_path(row.key)));
            wrong += ": unpacked again";
        }
        say(row, wrong);
        return {};
    }

    ImageStore::Impl& store_;
    bool repair_;
    std::vector<std::string> lines_;
};

}  // namespace

Result<std::vector<std::string>> ImageStore::verify(bool repair) {
    impl_->sweep();
    ByteLock guard = TRY(impl_->files.guard());
    return Verifier(*impl_, repair).run();
}

}  // namespace engine::image
