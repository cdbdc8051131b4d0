#pragma once
// What each kind of step does to the engine: one function a lane, for all its steps that are ready together.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "run/convert.h"
#include "run/executor.h"
#include "run/reporter.h"

namespace compose::run {

using Steps = std::vector<const plan::Step*>;

class Actions {
public:
    Actions(const Work& work, Reporter& reporter);

    /// `progress` is called from any thread, with the index of the step.
    std::vector<base::Status> pull(const Steps& steps, const std::function<void(size_t, const engine::PullProgress&)>& progress);
    base::Status build(const plan::Step& step);
    /// Networks, volumes and images: made or removed.
    base::Status resource(const plan::Step& step);
    /// Creates the containers of create and (under their temporary names) recreate steps.
    std::vector<base::Status> create(const Steps& steps);
    /// `ended(i, status)` comes as each has stopped.
    void stop(const Steps& steps, const std::function<void(size_t, const base::Status&)>& ended);
    std::vector<base::Status> remove(const Steps& steps);
    base::Status rename(const plan::Step& step);
    std::vector<base::Status> start(const Steps& steps);
    /// kill, pause, unpause, restart.
    base::Status signal(const plan::Step& step);
    base::Status hook(const plan::Step& step);
    /// conditions.cpp
    base::Status wait(const plan::Step& step);

    /// An image that has arrived while other pulls go on; false when the engine does not have it yet.
    bool arrived(const plan::Step& step);
    std::map<std::string, std::string> created() const;
    /// The id of a container created here, by name; "" for others.
    std::string created(const std::string& name) const;

private:
    struct Image {
        std::string id;
        std::vector<std::string> volumes;
    };
    base::Result<engine::ContainerSpec> spec_of(const plan::Step& step);
    Image image_of(const std::string& reference);
    const engine::ContainerInfo* observed(const std::string& id) const;
    base::Result<engine::ContainerInfo> peer(const std::string& service);
    /// The id of the container that a step is about.
    base::Result<std::string> id_of(const plan::Step& step) const;
    base::Result<std::string> id_of_name(const std::string& name) const;
    base::Status until_healthy(const plan::Step& step, const std::string& name, const std::string& id,
                               std::optional<std::chrono::steady_clock::time_point> deadline);
    base::Status until_ended(const plan::Step& step, const std::string& name, const std::string& id,
                             std::optional<std::chrono::steady_clock::time_point> deadline);
    bool has_health_check(const engine::ContainerInfo& container);
    std::string why_unhealthy(const plan::Step& step, const engine::ContainerInfo& container);

    const Work& work_;
    engine::Engine& engine_;
    Reporter& reporter_;
    mutable std::mutex mutex_;                                  ///< of what follows
    std::map<std::string, std::string> created_;                ///< container name → id
    std::map<std::string, std::pair<int, std::string>> first_;  ///< service → lowest number and id of its containers
    std::map<std::string, Image> images_;
};

}  // namespace compose::run
