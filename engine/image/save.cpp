// Saving: one tar that is a docker-archive (manifest.json) and an OCI image layout (oci-layout, index.json) at once, over the
// same packed blobs, so that digests survive.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "image/digest.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::UniqueFd;
namespace json = boost::json;

class TarFile {
public:
    explicit TarFile(int fd) : archive_(archive_write_new(), &archive_write_free) {
        archive_write_set_format_pax_restricted(archive_.get());
        archive_write_set_bytes_in_last_block(archive_.get(), 1);
        archive_write_set_bytes_per_block(archive_.get(), 256 << 10);
        archive_write_open_fd(archive_.get(), fd);
    }
    Status folder(const std::string& name) { return header(name, AE_IFDIR, 0755, 0); }
    Status file(const std::string& name, const std::string& bytes) {
        TRY_VOID(header(name, AE_IFREG, 0644, static_cast<int64_t>(bytes.size())));
        return data(bytes);
    }
    Status file_of(const std::string& name, int fd, uint64_t size) {
        TRY_VOID(header(name, AE_IFREG, 0644, static_cast<int64_t>(size)));
        Source source = from_fd(fd);
        uint64_t sent = 0;
        for (;;) {
            std::string_view bytes = TRY(source());
            if (bytes.empty()) break;
            sent += bytes.size();
            if (sent > size) break;
            TRY_VOID(data(bytes));
        }
        if (sent != size) return fail(Code::corrupt, name + " has another size than recorded; `compose image verify --repair` mends it");
        return {};
    }
    Status finish() { return archive_write_close(archive_.get()) == ARCHIVE_OK ? Status() : error(); }

private:
    Status header(const std::string& name, unsigned type, unsigned mode, int64_t size) {
        std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(), &archive_entry_free);
        archive_entry_set_pathname(entry.get(), name.c_str());
        archive_entry_set_filetype(entry.get(), type);
        archive_entry_set_perm(entry.get(), static_cast<mode_t>(mode));
        archive_entry_set_size(entry.get(), size);
        archive_entry_set_mtime(entry.get(), 0, 0);
        return archive_write_header(archive_.get(), entry.get()) == ARCHIVE_OK ? Status() : error();
    }
    Status data(std::string_view bytes) { return archive_write_data(archive_.get(), bytes.data(), bytes.size()) >= 0 ? Status() : error(); }
    Status error() {
        int number = archive_errno(archive_.get());
        const char* text = archive_error_string(archive_.get());
        base::Error failed = number > 0 ? base::fail_errno("write the archive", number) : fail(Code::internal, std::string("write the archive: ") + (text ? text : "unknown error"));
        return failed;
    }
    std::unique_ptr<archive, decltype(&archive_write_free)> archive_;
};

std::string blob_name(const std::string& digest) { return "blobs/" + algorithm_of(digest) + "/" + hex_of(digest); }

}  // namespace

Status ImageStore::save(const std::vector<std::string>& references, int fd) {
    if (references.empty()) return fail(Code::invalid, "save: no image named");
    ByteLock guard = TRY(impl_->files.guard());
    // Images in the order asked for, each once, with the names it was asked for by.
    std::vector<std::pair<std::string, std::vector<Reference>>> images;
    for (const std::string& text : references) {
        std::string id = TRY(impl_->id_of(text));
        auto found = std::find_if(images.begin(), images.end(), [&](const auto& item) { return item.first == id; });
        if (found == images.end()) found = images.insert(images.end(), {id, {}});
        auto reference = Reference::parse(text);
        if (!looks_like_id(text) && reference && !reference->tag.empty() && TRY(impl_->tables.tag(reference->canonical()))) found->second.push_back(*reference);
    }
    TarFile tar(fd);
    TRY_VOID(tar.folder("blobs/"));
    TRY_VOID(tar.folder("blobs/sha256/"));
    std::set<std::string> written;
    json::array archives;
    std::vector<Descriptor> entries;
    for (const auto& [id, names] : images) {
        auto row = TRY(impl_->tables.image(id));
        if (!row) return fail(Code::not_found, "No such image: " + id);
        ImageInfo info = TRY(impl_->info(*row));
        auto layers = TRY(impl_->tables.layers_of(id));
        auto [manifest, type] = TRY(impl_->manifest_of(*row, layers));
        std::string manifest_digest = digest_of(manifest);
        json::array layer_names;
        for (const LayerRow& layer : layers) {
            std::string name = blob_name(layer.blob);
            layer_names.emplace_back(name);
            if (!written.insert(name).second) continue;
            UniqueFd blob = TRY(base::open_at(AT_FDCWD, impl_->files.blob_path(layer.blob), O_RDONLY));
            TRY_VOID(tar.file_of(name, blob.get(), layer.blob_size).context("save " + id));
        }
        if (written.insert(blob_name(id)).second) TRY_VOID(tar.file(blob_name(id), row->config));
        if (written.insert(blob_name(manifest_digest)).second) TRY_VOID(tar.file(blob_name(manifest_digest), manifest));
        json::array tags;
        Descriptor entry{.media_type = type, .digest = manifest_digest, .size = manifest.size(), .platform = info.platform, .annotations = {}, .urls = {}};
        if (names.empty()) entries.push_back(entry);
        for (const Reference& name : names) {
            tags.emplace_back(name.familiar());
            entry.annotations = {{"io.containerd.image.name", name.canonical()}, {"org.opencontainers.image.ref.name", name.tag}};
            entries.push_back(entry);
        }
        archives.push_back(json::object{{"Config", blob_name(id)}, {"RepoTags", std::move(tags)}, {"Layers", std::move(layer_names)}});
    }
    TRY_VOID(tar.file("index.json", index_to_json(entries)));
    TRY_VOID(tar.file("manifest.json", json::serialize(archives)));
    TRY_VOID(tar.file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"));
    return tar.finish();
}

}  // namespace engine::image
