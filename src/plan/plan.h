#pragma once
// What has to happen so that the actual state becomes the one that the Compose file asks for: a graph of steps, each with
// its reason. Pure values: made by plan/planner.h, shown by `compose plan`, carried out by run/executor.h.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace compose::plan {

using StepId = int;  ///< from 1, in an order in which the steps could be carried out one by one

enum class Kind : uint8_t {
    pull,
    build,
    create_network,
    remove_network,
    create_volume,
    remove_volume,
    remove_image,
    keep,       ///< a container that is as it should be: nothing to do
    create,     ///< a new container
    recreate,   ///< a new container under a temporary name, stop and remove the old one, rename the new one
    start,
    stop,
    remove,
    rename,
    restart,
    kill,
    pause,
    unpause,
    post_start,  ///< run a hook in a container that has just started
    pre_stop,    ///< run a hook in a container that is about to be stopped
    wait,        ///< until a condition holds
};
const char* to_text(Kind kind);

/// compose-spec depends_on conditions, and `--wait`'s.
enum class Condition : uint8_t { started, healthy, completed, running_or_healthy };
const char* to_text(Condition condition);  ///< "service_started" …

struct Step {
    StepId id = 0;
    Kind kind = Kind::keep;
    std::string service;    ///< the service it is about; empty for networks and volumes
    int number = 0;         ///< replica number, 0 for none
    std::string object;     ///< what the text calls it: "web-1", "p_default", "busybox:1"
    std::string name;       ///< the engine's name: of the container ("p-web-1"), network, volume, or the image reference
    std::string container;  ///< id of the existing container; empty when an earlier step creates it
    std::string reason;     ///< why: the cause with the values that differ
    std::optional<std::chrono::nanoseconds> timeout;  ///< stop, recreate, restart: grace period; wait: limit
    std::string signal;         ///< kill
    std::string new_name;       ///< rename, recreate: the final name (`name` is then what it is created as)
    bool volumes = false;       ///< remove: its anonymous volumes too
    bool force = false;         ///< remove: kill it first
    bool renew_volumes = false; ///< recreate: new anonymous volumes instead of the old container's
    bool orphan = false;        ///< about a container that the file does not declare
    std::string key;            ///< networks and volumes: the key of the file, empty when it is not in the file
    std::string platform;       ///< pull
    Condition condition = Condition::started;  ///< wait
    std::vector<std::string> containers;       ///< wait: names of the containers
    size_t hook = 0;                           ///< post_start, pre_stop: index in the service's list
    bool only_if_missing = false;              ///< build: not when an earlier pull has brought the image
    bool optional = false;                     ///< wait, pull: a failure is a warning only
    bool in_use = false;                       ///< remove network or volume: others use it, so it stays
};

/// `to` starts after `from` has ended well; when not required, also after it has failed (with a warning).
struct Edge {
    StepId from = 0, to = 0;
    bool required = true;
    bool operator==(const Edge&) const = default;
};

/// Something that only the user can decide; the plan leaves it alone unless Options says yes.
struct Question {
    std::string volume;  ///< the volume's real name
    std::string text;    ///< Docker's: `Volume "x" exists but doesn't match configuration in compose file. Recreate (data will be lost)?`
};

class Plan {
public:
    std::vector<Step> steps;  ///< steps[i].id == i + 1; every edge goes from a lower to a higher id
    std::vector<Edge> edges;
    std::vector<std::string> warnings;  ///< for the user, before anything is done (orphans, volumes of others …)
    std::vector<Question> questions;
    /// Images of existing containers may change by a pull or build in here: what becomes of the containers is known only
    /// after these steps (run::apply carries them out first and plans again with Options::images_ready).
    bool images_first = false;
    std::vector<std::string> orphans;   ///< names of containers that the file does not declare

    const Step& step(StepId id) const { return steps[static_cast<size_t>(id) - 1]; }
    /// Ids of the steps that `id` waits for, ascending.
    std::vector<StepId> after(StepId id) const;
    /// Whether there is anything to do at all.
    bool changes() const;
    /// A line a step: `#7 after #3,#5: recreate web-1: image changed a1… → b2…`.
    std::string text() const;
};

/// One line of `Plan::text`, without newline.
std::string line(const Plan& plan, const Step& step);

}  // namespace compose::plan
