#include "image/manifest.h"

#include "base/text.h"
#include "image/digest.h"
#include "image/json_read.h"
#include "image/reference.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::Result;
namespace json = boost::json;

Result<Platform> read_platform(const json::value& value, const std::string& where) {
    JsonObject object(value, where);
    Platform platform{object.text("os"), object.text("architecture"), object.text("variant")};
    TRY_VOID(object.status());
    return normalise(platform);
}

Result<Descriptor> read_descriptor(const json::value& value, const std::string& where) {
    JsonObject object(value, where);
    Descriptor descriptor;
    descriptor.media_type = object.text("mediaType");
    descriptor.digest = object.text("digest");
    int64_t size = object.number("size", -1);
    descriptor.urls = object.texts("urls");
    descriptor.annotations = object.map("annotations");
    TRY_VOID(object.status());
    if (!valid_digest(descriptor.digest)) return fail(Code::corrupt, where + ".digest " + base::quote(descriptor.digest.substr(0, 160)) + " is not a digest");
    if (size < 0) return fail(Code::corrupt, where + ".size is missing or negative");
    descriptor.size = static_cast<uint64_t>(size);
    if (const auto* platform = object.get("platform")) descriptor.platform = TRY(read_platform(*platform, where + ".platform"));
    return descriptor;
}

Result<std::optional<HealthCheck>> read_health(const json::value& value) {
    JsonObject object(value, "config.Healthcheck");
    HealthCheck check;
    check.test = object.texts("Test");
    check.interval = Nanoseconds(object.number("Interval"));
    check.timeout = Nanoseconds(object.number("Timeout"));
    check.start_period = Nanoseconds(object.number("StartPeriod"));
    check.start_interval = Nanoseconds(object.number("StartInterval"));
    check.retries = static_cast<int>(std::clamp<int64_t>(object.number("Retries"), 0, 1'000'000));
    TRY_VOID(object.status());
    return std::optional<HealthCheck>(std::move(check));
}

Time read_time(JsonObject& object, std::string_view name) {
    auto time = base::parse_time(object.text(name));
    return time.value_or(0);  // a time that nobody can read stops no image
}

}  // namespace

Result<Document> parse_document(std::string_view bytes, std::string_view content_type) {
    json::value value = TRY(parse_json(bytes, kManifestLimit, "the manifest"));
    if (!value.is_object()) return fail(Code::corrupt, "the manifest is not a JSON object");
    JsonObject object(value, "manifest");
    int64_t version = object.number("schemaVersion", 2);
    std::string type = object.text("mediaType");
    TRY_VOID(object.status());
    if (version == 1 || type.find("manifest.v1+prettyjws") != std::string::npos || type == "application/vnd.docker.distribution.manifest.v1+json")
        return fail(Code::unsupported, "the registry serves an image of the dead schema 1; push it again with a tool of this decade");
    if (version != 2) return fail(Code::corrupt, "manifest.schemaVersion is " + std::to_string(version) + ", not 2");
    bool is_index = object.has("manifests"), is_manifest = object.has("layers") || object.has("config");
    if (is_index && is_manifest) return fail(Code::corrupt, "the manifest has both `manifests` and `layers`: ambiguous, refused (CVE-2021-41190)");
    if (!is_index && !is_manifest) return fail(Code::corrupt, "the manifest has neither `manifests` nor `layers`");
    bool says_index = type == media::kIndex || type == media::kDockerIndex;
    bool says_manifest = type == media::kManifest || type == media::kDockerManifest;
    if ((says_index && !is_index) || (says_manifest && !is_manifest))
        return fail(Code::corrupt, "manifest.mediaType " + base::quote(type) + " does not agree with its content");
    if (type.empty()) type = content_type.empty() ? std::string(is_index ? media::kIndex : media::kManifest) : std::string(content_type);

    Document document;
    document.media_type = type;
    if (is_index) {
        size_t number = 0;
        for (const auto& item : object.list("manifests"))
            document.manifests.push_back(TRY(read_descriptor(item, "manifest.manifests[" + std::to_string(number++) + "]")));
        TRY_VOID(object.status());
        return document;
    }
    Manifest manifest;
    manifest.media_type = type;
    static const json::value kNull;
    const json::value* config = object.get("config");
    manifest.config = TRY(read_descriptor(config ? *config : kNull, "manifest.config"));
    size_t number = 0;
    for (const auto& item : object.list("layers"))
        manifest.layers.push_back(TRY(read_descriptor(item, "manifest.layers[" + std::to_string(number++) + "]")));
    TRY_VOID(object.status());
    if (manifest.layers.size() > kMostLayers)
        return fail(Code::corrupt, "the manifest has " + std::to_string(manifest.layers.size()) + " layers, over the limit of " + std::to_string(kMostLayers));
    if (manifest.config.size > kConfigLimit)
        return fail(Code::corrupt, "manifest.config.size is " + std::to_string(manifest.config.size) + ", over the limit of " + std::to_string(kConfigLimit));
    document.manifest = std::move(manifest);
    return document;
}

Result<ImageInfo> parse_config(std::string_view bytes) {
    json::value value = TRY(parse_json(bytes, kConfigLimit, "the image's configuration"));
    if (!value.is_object()) return fail(Code::corrupt, "the image's configuration is not a JSON object");
    JsonObject top(value, "configuration");
    ImageInfo image;
    image.id = digest_of(bytes);
    image.platform = normalise(Platform{top.text("os"), top.text("architecture"), top.text("variant")});
    image.created = read_time(top, "created");
    image.author = top.text("author");

    JsonObject config = top.object("config");
    ImageConfig& to = image.config;
    to.user = config.text("User");
    to.working_dir = config.text("WorkingDir");
    to.stop_signal = config.text("StopSignal");
    to.env = config.texts("Env");
    to.entrypoint = config.texts("Entrypoint");
    to.cmd = config.texts("Cmd");
    to.shell = config.texts("Shell");
    to.on_build = config.texts("OnBuild");
    to.exposed_ports = config.keys("ExposedPorts");
    to.volumes = config.keys("Volumes");
    to.labels = config.map("Labels");
    if (const auto* check = config.get("Healthcheck")) to.health_check = TRY(read_health(*check));
    TRY_VOID(config.status());

    JsonObject rootfs = top.object("rootfs");
    image.layers = rootfs.texts("diff_ids");
    TRY_VOID(rootfs.status());
    for (const std::string& layer : image.layers)
        if (!valid_digest(layer)) return fail(Code::corrupt, "configuration.rootfs.diff_ids holds " + base::quote(layer.substr(0, 160)) + ", which is not a digest");
    if (image.layers.size() > kMostLayers) return fail(Code::corrupt, "the configuration has more than " + std::to_string(kMostLayers) + " layers");
    size_t number = 0;
    for (const auto& item : top.list("history")) {
        JsonObject entry(item, "configuration.history[" + std::to_string(number++) + "]");
        ImageInfo::History history;
        history.created = read_time(entry, "created");
        history.created_by = entry.text("created_by");
        history.comment = entry.text("comment");
        history.author = entry.text("author");
        history.empty_layer = entry.boolean("empty_layer");
        TRY_VOID(entry.status());
        image.history.push_back(std::move(history));
    }
    TRY_VOID(top.status());
    return image;
}

namespace {

json::array array_of(const std::vector<std::string>& texts) {
    json::array array;
    for (const std::string& text : texts) array.emplace_back(text);
    return array;
}
json::object set_of(std::vector<std::string> texts) {
    std::sort(texts.begin(), texts.end());
    json::object object;
    for (const std::string& text : texts) object[text] = json::object();
    return object;
}

json::object config_object(const ImageConfig& config) {
    json::object to;
    if (!config.user.empty()) to["User"] = config.user;
    if (!config.exposed_ports.empty()) to["ExposedPorts"] = set_of(config.exposed_ports);
    if (!config.env.empty()) to["Env"] = array_of(config.env);
    if (!config.entrypoint.empty()) to["Entrypoint"] = array_of(config.entrypoint);
    if (!config.cmd.empty()) to["Cmd"] = array_of(config.cmd);
    if (!config.volumes.empty()) to["Volumes"] = set_of(config.volumes);
    if (!config.working_dir.empty()) to["WorkingDir"] = config.working_dir;
    if (!config.labels.empty()) {
        json::object labels;
        for (const auto& [key, text] : config.labels) labels[key] = text;
        to["Labels"] = std::move(labels);
    }
    if (!config.stop_signal.empty()) to["StopSignal"] = config.stop_signal;
    if (!config.on_build.empty()) to["OnBuild"] = array_of(config.on_build);
    if (!config.shell.empty()) to["Shell"] = array_of(config.shell);
    if (config.health_check) {
        json::object check;
        const HealthCheck& from = *config.health_check;
        if (!from.test.empty()) check["Test"] = array_of(from.test);
        if (from.interval.count() != 0) check["Interval"] = from.interval.count();
        if (from.timeout.count() != 0) check["Timeout"] = from.timeout.count();
        if (from.start_period.count() != 0) check["StartPeriod"] = from.start_period.count();
        if (from.start_interval.count() != 0) check["StartInterval"] = from.start_interval.count();
        if (from.retries != 0) check["Retries"] = from.retries;
        to["Healthcheck"] = std::move(check);
    }
    return to;
}

json::object descriptor_object(const Descriptor& descriptor) {
    json::object to;
    to["mediaType"] = descriptor.media_type;
    to["digest"] = descriptor.digest;
    to["size"] = descriptor.size;
    if (!descriptor.platform.os.empty()) {
        json::object platform{{"architecture", descriptor.platform.architecture}, {"os", descriptor.platform.os}};
        if (!descriptor.platform.variant.empty()) platform["variant"] = descriptor.platform.variant;
        to["platform"] = std::move(platform);
    }
    if (!descriptor.annotations.empty()) {
        json::object annotations;
        for (const auto& [key, text] : descriptor.annotations) annotations[key] = text;
        to["annotations"] = std::move(annotations);
    }
    return to;
}

}  // namespace

std::string config_to_json(const ImageInfo& image) {
    json::object to;
    if (image.created != 0) to["created"] = base::format_time(image.created);
    if (!image.author.empty()) to["author"] = image.author;
    to["architecture"] = image.platform.architecture;
    if (!image.platform.variant.empty()) to["variant"] = image.platform.variant;
    to["os"] = image.platform.os;
    to["config"] = config_object(image.config);
    to["rootfs"] = json::object{{"type", "layers"}, {"diff_ids", array_of(image.layers)}};
    json::array history;
    for (const ImageInfo::History& from : image.history) {
        json::object entry;
        if (from.created != 0) entry["created"] = base::format_time(from.created);
        if (!from.created_by.empty()) entry["created_by"] = from.created_by;
        if (!from.author.empty()) entry["author"] = from.author;
        if (!from.comment.empty()) entry["comment"] = from.comment;
        if (from.empty_layer) entry["empty_layer"] = true;
        history.push_back(std::move(entry));
    }
    to["history"] = std::move(history);
    return json::serialize(to);
}

std::string manifest_to_json(const Manifest& manifest) {
    json::array layers;
    for (const Descriptor& layer : manifest.layers) layers.push_back(descriptor_object(layer));
    return json::serialize(json::object{{"schemaVersion", 2},
                                        {"mediaType", manifest.media_type},
                                        {"config", descriptor_object(manifest.config)},
                                        {"layers", std::move(layers)}});
}

std::string index_to_json(const std::vector<Descriptor>& manifests) {
    json::array list;
    for (const Descriptor& manifest : manifests) list.push_back(descriptor_object(manifest));
    return json::serialize(json::object{{"schemaVersion", 2}, {"mediaType", media::kIndex}, {"manifests", std::move(list)}});
}

}  // namespace engine::image
