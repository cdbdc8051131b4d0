// Verifying: blobs are hashed, layers unpacked once more and compared with what is there; what differs is mended.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <set>

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
    Verifier(ImageStore::Impl& store, const VerifyOptions& options) : store_(store), options_(options), repair_(options.repair) {}

    Result<VerifyResult> run() {
        std::optional<std::set<std::string>> wanted;  // ids
        for (const std::string& reference : options_.references) {
            if (!wanted) wanted.emplace();
            wanted->insert(TRY(store_.id_of(reference)));
        }
        std::set<std::string> keys;
        for (const ImageRow& image : TRY(store_.tables.images())) {
            if (wanted && !wanted->contains(image.id)) continue;
            keys.insert(image.layers.begin(), image.layers.end());
            if (digest_of(image.config) != image.id) {
                result_.problems.push_back("image " + image.id + ": its configuration hashes to " + digest_of(image.config) + "; remove and pull it again");
                ++result_.broken;
            }
        }
        for (const LayerRow& row : TRY(store_.tables.layers())) {
            if (wanted && !keys.contains(row.key)) continue;
            if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
            ByteLock lock = TRY(store_.files.lock_layer(row.key, options_.cancel));
            ++result_.layers;
            if (TRY(blob(row))) TRY_VOID(tree(row));
        }
        return std::move(result_);
    }

private:
    void say(const LayerRow& row, const std::string& what, bool mended) {
        result_.problems.push_back("layer " + row.diff_id + ": " + what);
        if (!mended) ++result_.broken;
    }

    /// Whether the packed form is right, perhaps after it was fetched again.
    Result<bool> blob(const LayerRow& row) {
        std::string path = store_.files.blob_path(row.blob);
        auto hash = hash_file(path, algorithm_of(row.blob));
        if (hash && *hash == row.blob) return true;
        std::string wrong = hash ? "its packed form hashes to " + *hash : "its packed form is lost";
        if (!repair_) {
            say(row, wrong, false);
            return false;
        }
        auto fetched = fetch(row, path);
        say(row, wrong + (fetched ? ": fetched again" : ": " + fetched.error().message()), fetched.has_value());
        return fetched.has_value();
    }

    Status fetch(const LayerRow& row, const std::string& path) {
        // Every registry that is known to have had it; the last one's error is told.
        auto sources = TRY(store_.tables.sources(row.blob));
        Status fetched = fail(Code::not_found, "no registry is known to have it; build, load or import the image again");
        for (const auto& [domain, repository] : sources) {
            Reference reference;
            reference.domain = domain;
            reference.path = repository;
            fetched = fetch_from(reference, row, path);
            if (fetched || fetched.error().code == Code::interrupted) break;
        }
        return fetched;
    }
    Status fetch_from(const Reference& reference, const LayerRow& row, const std::string& path) {
        Staging staging = TRY(store_.files.stage());
        UniqueFd file = TRY(base::open_at(AT_FDCWD, staging.blob(), O_WRONLY | O_CREAT, 0600));
        RegistryClient client(RegistryOptions{.access = store_.access, .cancel = options_.cancel});
        TRY_VOID(client.blob(reference, {.media_type = row.media_type, .digest = row.blob, .size = row.blob_size, .platform = {}, .annotations = {}, .urls = {}},
                             [&](std::string_view bytes) { return base::write_all(file.get(), bytes); }));
        if (::fdatasync(file.get()) != 0) return base::fail_errno("write \"" + staging.blob() + "\"");
        if (::rename(staging.blob().c_str(), path.c_str()) != 0) return base::fail_errno("replace \"" + path + "\"");
        return {};
    }

    Status tree(const LayerRow& row) {
        if (row.key.starts_with("chain-")) {  // it holds files of other layers too
            if (!base::exists(store_.files.layer_path(row.key))) say(row, "its folder is lost; pull the image again", false);
            return {};
        }
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
            say(row, made.error().message(), false);
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
        say(row, wrong, repair_);
        return {};
    }

    ImageStore::Impl& store_;
    const VerifyOptions& options_;
    bool repair_;
    VerifyResult result_;
};

}  // namespace

Result<VerifyResult> ImageStore::verify(const VerifyOptions& options) {
    impl_->sweep();
    ByteLock guard = TRY(impl_->files.guard());
    return Verifier(*impl_, options).run();
}

}  // namespace engine::image
