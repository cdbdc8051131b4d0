#pragma once
// Notices that somebody removed the engine's rules. Internal to network/.
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"

namespace engine::network {

class FirewallWatch {
public:
    /// `changed` is called in a thread of the watch after the table, a chain or a rule of it was removed.
    static base::Result<std::unique_ptr<FirewallWatch>> start(const std::string& table, std::function<void()> changed);
    virtual ~FirewallWatch() = default;
};

}  // namespace engine::network
