#include "engine/engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace engine {

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
    auto paths = TRY(store::Paths::resolve(options.root, options.run_dir));
    options.root = paths.root;
    options.run_dir = paths.run;
    auto store = store::Store::open(paths);
    if (!store) return std::move(store).context("open the engine's state in \"" + paths.root + "\"").error();
    if (options.will_start) supervisor::SupervisorClient::prestart(options, options.group);
    auto engine = std::make_unique<api::EngineImpl>(std::move(options), std::move(*store));
    TRY_VOID(engine->recover());
    return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace engine

namespace engine::api {

EngineImpl::EngineImpl(EngineOptions options, std::unique_ptr<store::Store> store) : options_(std::move(options)), store_(std::move(store)) {}

Result<base::UniqueFd> EngineImpl::lock_group(const std::function<void(const std::string&)>& waiting) {
    TRY_VOID(base::make_dirs(paths().locks(), 0700));
    std::string path = paths().group_lock(options_.group);
    base::UniqueFd fd = TRY(base::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600).context("lock project \"" + options_.group + "\""));
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
        if (errno != EAGAIN && errno != EACCES) return base::fail_errno("lock \"" + path + "\"");
        if (waiting) {
            // Who holds it has written its pid there; a file just made is still empty.
            std::string holder = base::trim(base::read_file(path, 4096).value_or(""));
            waiting("another command" + (holder.empty() ? "" : " (pid " + base::printable(holder) + ")") + " is working on project \"" + options_.group + "\"; waiting for it");
        }
        if (fcntl(fd.get(), F_OFD_SETLKW, &lock) != 0) {
            if (errno == EINTR) return base::fail(base::Code::interrupted, "interrupted while waiting for project \"" + options_.group + "\"");
            return base::fail_errno("lock \"" + path + "\"");
        }
    }
    std::string pid = std::to_string(getpid()) + "\n";
    // Ignored: the text only serves the message above.
    if (ftruncate(fd.get(), 0) != 0 || pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) return fd;
    return fd;
}

Result<image::ImageStore*> EngineImpl::image_store() {
    std::lock_guard lock(mutex_);
    if (!images_) images_ = TRY(image::ImageStore::open(paths().root, options_.registries));
    return images_.get();
}

Result<ImageConfig> EngineImpl::image_config(const ContainerInfo& container) {
    {
        std::lock_guard lock(mutex_);
        if (auto known = configs_.find(container.spec.image_id); known != configs_.end()) return known->second;
    }
    auto* images = TRY(image_store());
    auto image = TRY(images->find(container.spec.image_id));
    std::lock_guard lock(mutex_);
    return configs_.emplace(container.spec.image_id, std::move(image.config)).first->second;
}

Result<SupervisorClient*> EngineImpl::supervisor(const std::string& group) {
    std::lock_guard lock(mutex_);
    auto& client = supervisors_[group];
    if (!client) client = TRY(SupervisorClient::connect_or_start(options_, group));
    return client.get();
}

Result<std::unique_ptr<SupervisorClient>> EngineImpl::running_supervisor(const std::string& group) {
    return SupervisorClient::connect(options_, group);
}

Result<std::unique_ptr<SupervisorClient>> EngineImpl::supervisor_of(const ContainerInfo& container) {
    auto client = TRY(running_supervisor(container.supervisor));
    if (client || !is_alive(container.state)) return client;
    return SupervisorClient::connect_or_start(options_, container.supervisor);
}

Result<ContainerInfo> EngineImpl::running_container(const std::string& id) {
    auto container = TRY(store().container(id));
    if (!has_process(container.state))
        return base::fail(base::Code::not_running, "container " + container.spec.name + " is not running");
    return container;
}

void EngineImpl::tell(const std::string& name, const std::string& note) const {
    std::string text = note.starts_with(name + ": ") ? note.substr(name.size() + 2) : note;
    if (options_.notice)
        options_.notice(name, text);
    else
        base::log::warn(name + ": " + text);
}

uint64_t process_start_time(pid_t pid) {
    auto text = base::read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    if (!text) return 0;
    // The name may hold blanks and brackets; the fields after its last bracket do not.
    size_t end = text->rfind(')');
    if (end == std::string::npos) return 0;
    auto fields = base::split(std::string_view(*text).substr(end + 2), ' ');
    if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return 0;
    return static_cast<uint64_t>(base::parse_int(fields[19]).value_or(0));
}

bool is_alive(const ContainerState& state) {
    if (state.pid <= 0) return false;
    uint64_t start = process_start_time(state.pid);
    return start != 0 && (state.pid_start == 0 || start == state.pid_start);
}

}  // namespace engine::api
