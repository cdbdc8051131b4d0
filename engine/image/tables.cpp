#include "image/tables.h"

namespace engine::image {
namespace {

using base::Result;
using base::Status;
using store::Database;
using store::Statement;

const std::vector<std::string>& migrations() {
    static const std::vector<std::string> list{R"sql(
        CREATE TABLE images (
            id TEXT PRIMARY KEY, config TEXT NOT NULL, manifest TEXT NOT NULL, manifest_type TEXT NOT NULL,
            size INTEGER NOT NULL, added INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE image_tags (
            reference TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, tagged INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX image_tags_image ON image_tags (image);
        CREATE TABLE image_digests (
            name TEXT NOT NULL, digest TEXT NOT NULL, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            PRIMARY KEY (name, digest)) WITHOUT ROWID;
        CREATE INDEX image_digests_image ON image_digests (image);
        CREATE TABLE layers (
            key TEXT PRIMARY KEY, diff_id TEXT NOT NULL, size INTEGER NOT NULL, blob TEXT NOT NULL, blob_size INTEGER NOT NULL,
            media_type TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE image_layers (
            image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, position INTEGER NOT NULL,
            layer TEXT NOT NULL REFERENCES layers (key), PRIMARY KEY (image, position)) WITHOUT ROWID;
        CREATE INDEX image_layers_layer ON image_layers (layer);
        CREATE TABLE blob_sources (
            blob TEXT NOT NULL, domain TEXT NOT NULL, repository TEXT NOT NULL, PRIMARY KEY (blob, domain)) WITHOUT ROWID;
    )sql",
                                               "ALTER TABLE image_tags ADD COLUMN checked INTEGER NOT NULL DEFAULT 0;"};
    return list;
}

LayerRow layer_row(const Statement& query) {
    return {query.text(1), query.text(0), static_cast<uint64_t>(query.number(2)), query.text(3), static_cast<uint64_t>(query.number(4)), query.text(5)};
}
constexpr std::string_view kLayerColumns = "layers.key, diff_id, layers.size, blob, blob_size, media_type";

Status fill_layers(Database& db, ImageRow& row) {
    auto query = TRY(db.prepare("SELECT layer FROM image_layers WHERE image = ? ORDER BY position"));
    query.bind(1, row.id);
    while (TRY(query.step())) row.layers.push_back(query.text(0));
    return {};
}

ImageRow image_row(const Statement& query) {
    return {query.text(0), query.text(1), query.text(2), query.text(3), static_cast<uint64_t>(query.number(4)), query.number(5), {}};
}

}  // namespace

Result<Database*> Tables::open() {
    if (!db_) {
        Database db = TRY(Database::open(root_ + "/state.db"));
        TRY_VOID(db.migrate("image", migrations()));
        db_.emplace(std::move(db));
    }
    return &*db_;
}

Status Tables::put_image(const ImageRow& row) {
    return transaction([&]() -> Status {
        auto insert = TRY(db_->prepare("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"));
        insert.bind(1, row.id).bind(2, row.config).bind(3, row.manifest).bind(4, row.manifest_type).bind(5, static_cast<int64_t>(row.size)).bind(6, row.added);
        TRY_VOID(insert.run());
        if (db_->changes() == 0) return {};
        auto layer = TRY(db_->prepare("INSERT INTO image_layers VALUES (?, ?, ?)"));
        int64_t position = 0;
        for (const std::string& key : row.layers) {
            layer.rewind();
            layer.bind(1, row.id).bind(2, position++).bind(3, key);
            TRY_VOID(layer.run());
        }
        return {};
    });
}

Result<std::optional<ImageRow>> Tables::image(const std::string& id) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT id, config, manifest, manifest_type, size, added FROM images WHERE id = ?"));
    query.bind(1, id);
    if (!TRY(query.step())) return std::optional<ImageRow>();
    ImageRow row = image_row(query);
    TRY_VOID(fill_layers(*db, row));
    return std::optional(std::move(row));
}

Result<std::vector<ImageRow>> Tables::images() {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT id, config, manifest, manifest_type, size, added FROM images ORDER BY added DESC, id"));
    std::vector<ImageRow> rows;
    while (TRY(query.step())) rows.push_back(image_row(query));
    for (ImageRow& row : rows) TRY_VOID(fill_layers(*db, row));
    return rows;
}

Result<std::vector<std::string>> Tables::ids_with_prefix(const std::string& hex) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2"));
    query.bind(1, "sha256:" + hex).bind(2, "sha256:" + hex + "g");
    std::vector<std::string> ids;
    while (TRY(query.step())) ids.push_back(query.text(0));
    return ids;
}

Status Tables::delete_image(const std::string& id) {
    return transaction([&]() -> Status {
        auto remove = TRY(db_->prepare("DELETE FROM images WHERE id = ?"));
        remove.bind(1, id);
        return remove.run();
    });
}

Status Tables::put_tag(const TagRow& row) {
    return transaction([&]() -> Status {
        auto insert = TRY(db_->prepare("INSERT INTO image_tags VALUES (?, ?, ?, ?) ON CONFLICT (reference) DO UPDATE SET image = excluded.image, "
                                       "checked = CASE WHEN image = excluded.image THEN max(checked, excluded.checked) ELSE excluded.checked END, "
                                       "tagged = CASE WHEN image = excluded.image THEN tagged ELSE excluded.tagged END"));
        insert.bind(1, row.reference).bind(2, row.image).bind(3, row.tagged).bind(4, row.checked);
        return insert.run();
    });
}

Result<bool> Tables::delete_tag(const std::string& reference) {
    return transaction([&]() -> Result<bool> {
        auto remove = TRY(db_->prepare("DELETE FROM image_tags WHERE reference = ?"));
        remove.bind(1, reference);
        TRY_VOID(remove.run());
        return db_->changes() > 0;
    });
}

Result<std::optional<TagRow>> Tables::tag(const std::string& reference) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT reference, image, tagged, checked FROM image_tags WHERE reference = ?"));
    query.bind(1, reference);
    if (!TRY(query.step())) return std::optional<TagRow>();
    return std::optional(TagRow{query.text(0), query.text(1), query.number(2), query.number(3)});
}

Result<std::vector<TagRow>> Tables::tags(const std::string& image) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare(std::string("SELECT reference, image, tagged, checked FROM image_tags") + (image.empty() ? "" : " WHERE image = ?") + " ORDER BY reference"));
    if (!image.empty()) query.bind(1, image);
    std::vector<TagRow> rows;
    while (TRY(query.step())) rows.push_back({query.text(0), query.text(1), query.number(2), query.number(3)});
    return rows;
}

Status Tables::put_digest(const DigestRow& row) {
    return transaction([&]() -> Status {
        auto insert = TRY(db_->prepare("INSERT INTO image_digests VALUES (?, ?, ?) ON CONFLICT (name, digest) DO UPDATE SET image = excluded.image"));
        insert.bind(1, row.name).bind(2, row.digest).bind(3, row.image);
        return insert.run();
    });
}

Status Tables::delete_digest(const std::string& name, const std::string& digest) {
    return transaction([&]() -> Status {
        auto remove = TRY(db_->prepare("DELETE FROM image_digests WHERE name = ? AND digest = ?"));
        remove.bind(1, name).bind(2, digest);
        return remove.run();
    });
}

Result<std::optional<std::string>> Tables::image_of_digest(const std::string& name, const std::string& digest) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT image FROM image_digests WHERE name = ? AND digest = ?"));
    query.bind(1, name).bind(2, digest);
    if (!TRY(query.step())) return std::optional<std::string>();
    return std::optional(query.text(0));
}

Result<std::vector<DigestRow>> Tables::digests(const std::string& image) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare(std::string("SELECT name, digest, image FROM image_digests") + (image.empty() ? "" : " WHERE image = ?") + " ORDER BY name, digest"));
    if (!image.empty()) query.bind(1, image);
    std::vector<DigestRow> rows;
    while (TRY(query.step())) rows.push_back({query.text(0), query.text(1), query.text(2)});
    return rows;
}

Status Tables::put_layer(const LayerRow& row) {
    return transaction([&]() -> Status {
        auto insert = TRY(db_->prepare("INSERT INTO layers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET size = excluded.size, "
                                       "blob = excluded.blob, blob_size = excluded.blob_size, media_type = excluded.media_type"));
        insert.bind(1, row.key).bind(2, row.diff_id).bind(3, static_cast<int64_t>(row.size)).bind(4, row.blob).bind(5, static_cast<int64_t>(row.blob_size)).bind(6, row.media_type);
        return insert.run();
    });
}

Result<std::optional<LayerRow>> Tables::layer(const std::string& key) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT " + std::string(kLayerColumns) + " FROM layers WHERE key = ?"));
    query.bind(1, key);
    if (!TRY(query.step())) return std::optional<LayerRow>();
    return std::optional(layer_row(query));
}

Result<std::vector<LayerRow>> Tables::layers() {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT " + std::string(kLayerColumns) + " FROM layers ORDER BY key"));
    std::vector<LayerRow> rows;
    while (TRY(query.step())) rows.push_back(layer_row(query));
    return rows;
}

Result<std::vector<LayerRow>> Tables::layers_of(const std::string& image) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT " + std::string(kLayerColumns) + " FROM image_layers JOIN layers ON layers.key = image_layers.layer "
                                 "WHERE image = ? ORDER BY position"));
    query.bind(1, image);
    std::vector<LayerRow> rows;
    while (TRY(query.step())) rows.push_back(layer_row(query));
    return rows;
}

Result<std::vector<LayerRow>> Tables::take_unused_layers() {
    return transaction([&]() -> Result<std::vector<LayerRow>> {
        std::vector<LayerRow> rows;
        {
            auto query = TRY(db_->prepare("SELECT " + std::string(kLayerColumns) + " FROM layers WHERE key NOT IN (SELECT layer FROM image_layers)"));
            while (TRY(query.step())) rows.push_back(layer_row(query));
        }
        auto remove = TRY(db_->prepare("DELETE FROM layers WHERE key = ?"));
        for (const LayerRow& row : rows) {
            remove.rewind();
            remove.bind(1, row.key);
            TRY_VOID(remove.run());
        }
        TRY_VOID(db_->execute("DELETE FROM blob_sources WHERE blob NOT IN (SELECT blob FROM layers)"));
        return rows;
    });
}

Status Tables::delete_layer(const std::string& key) {
    return transaction([&]() -> Status {
        auto remove = TRY(db_->prepare("DELETE FROM layers WHERE key = ?"));
        remove.bind(1, key);
        return remove.run();
    });
}

Status Tables::put_source(const std::string& blob, const std::string& domain, const std::string& repository) {
    return transaction([&]() -> Status {
        auto insert = TRY(db_->prepare("INSERT INTO blob_sources VALUES (?, ?, ?) ON CONFLICT (blob, domain) DO UPDATE SET repository = excluded.repository"));
        insert.bind(1, blob).bind(2, domain).bind(3, repository);
        return insert.run();
    });
}

Result<std::optional<std::string>> Tables::source(const std::string& blob, const std::string& domain) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT repository FROM blob_sources WHERE blob = ? AND domain = ?"));
    query.bind(1, blob).bind(2, domain);
    if (!TRY(query.step())) return std::optional<std::string>();
    return std::optional(query.text(0));
}

Result<std::vector<std::pair<std::string, std::string>>> Tables::sources(const std::string& blob) {
    std::lock_guard lock(mutex_);
    Database* db = TRY(open());
    auto query = TRY(db->prepare("SELECT domain, repository FROM blob_sources WHERE blob = ?"));
    query.bind(1, blob);
    std::vector<std::pair<std::string, std::string>> rows;
    while (TRY(query.step())) rows.emplace_back(query.text(0), query.text(1));
    return rows;
}

}  // namespace engine::image
