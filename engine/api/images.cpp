#include "api/engine_impl.h"
#include "base/text.h"

namespace engine::api {
namespace {

Event image_event(const std::string& action, const std::string& id, const std::string& name) {
    Event event;
    event.type = "image";
    event.action = action;
    event.id = id;
    event.attributes["name"] = name;
    return event;
}

}  // namespace

image::ImageInUse EngineImpl::image_in_use() {
    return [this](const std::string& id) {
        store::Store::ContainerQuery query;
        query.image_id = id;
        auto found = store().containers(query);
        if (!found || !found->empty()) return true;  // unknown counts as used
        auto all = store().containers({});
        if (!all) return true;
        for (const ContainerInfo& container : *all)  // images that are mounted
            for (const Mount& mount : container.spec.mounts)
                if (mount.type == Mount::Type::image)
                    if (auto mounted = image(mount.source); mounted && mounted->id == id) return true;
        return false;
    };
}

std::vector<Result<ImageInfo>> EngineImpl::pull(const std::vector<PullRequest>& requests, const PullOptions& options) {
    auto images = image_store();
    if (!images) {
        std::vector<Result<ImageInfo>> failed;
        for (size_t i = 0; i < requests.size(); ++i) failed.push_back(images.error());
        return failed;
    }
    auto results = (*images)->pull(requests, options);
    for (size_t i = 0; i < results.size(); ++i)
        if (results[i]) (void)store().add_event(image_event("pull", requests[i].reference, requests[i].reference));  // ignored: only news
    return results;
}

Result<ImageInfo> EngineImpl::image(const std::string& reference) {
    auto* images = TRY(image_store());
    return images->find(reference);
}

Result<std::vector<ImageInfo>> EngineImpl::images() {
    auto* images = TRY(image_store());
    return images->list();
}

Result<RemovedImage> EngineImpl::remove_image(const std::string& reference, bool force) {
    auto* images = TRY(image_store());
    auto removed = TRY(images->remove(reference, force, image_in_use()));
    for (const auto& name : removed.untagged) (void)store().add_event(image_event("untag", name, name));   // ignored: only news
    for (const auto& id : removed.deleted) (void)store().add_event(image_event("delete", id, reference));  // ignored: only news
    return removed;
}

Status EngineImpl::tag_image(const std::string& source, const std::string& target) {
    auto* images = TRY(image_store());
    TRY_VOID(images->tag(source, target));
    return store().add_event(image_event("tag", source, target));
}

Status EngineImpl::push(const std::string& reference, const PushOptions& options) {
    auto* images = TRY(image_store());
    TRY_VOID(images->push(reference, options));
    return store().add_event(image_event("push", reference, reference));
}

Result<std::string> EngineImpl::resolve_digest(const std::string& reference) {
    auto named = TRY(image::Reference::parse(reference));
    if (!named.digest.empty()) {
        named.tag.clear();
        return named.canonical();
    }
    auto* images = TRY(image_store());
    named.digest = TRY(images->resolve_digest(reference));
    return named.canonical();
}

Result<std::pair<std::vector<std::string>, uint64_t>> EngineImpl::prune_images(bool all) {
    auto* images = TRY(image_store());
    return images->prune(all, image_in_use());
}

Status EngineImpl::save_images(const std::vector<std::string>& references, int fd) {
    auto* images = TRY(image_store());
    return images->save(references, fd);
}

Result<std::vector<std::string>> EngineImpl::load_images(int fd) {
    auto* images = TRY(image_store());
    auto loaded = TRY(images->load(fd));
    for (const auto& name : loaded) (void)store().add_event(image_event("load", name, name));  // ignored: only news
    return loaded;
}

Result<std::string> EngineImpl::import_image(int fd, const CommitOptions& options) {
    auto* images = TRY(image_store());
    std::string id = TRY(images->import(fd, options));
    (void)store().add_event(image_event("import", id, options.reference.empty() ? id : options.reference));  // ignored: only news
    return id;
}

Result<ImageDetail> EngineImpl::image_detail(const std::string& reference) {
    auto* images = TRY(image_store());
    return images->detail(reference);
}

Result<VerifyResult> EngineImpl::verify_images(const VerifyOptions& options) {
    auto* images = TRY(image_store());
    return images->verify(options);
}

}  // namespace engine::api
