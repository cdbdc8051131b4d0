#pragma once
// What a container may be asked for and this machine cannot give, where Docker goes on without it: said, never passed over.
#include <string>
#include <vector>

#include "engine/types.h"

namespace engine {

struct Remark {
    std::string attribute;  ///< as Docker's users know it: security_opt, mem_swappiness, blkio_config.weight …
    std::string text;       ///< "has no effect: …", to follow the attribute's name
};
/// Looks at the kernel, not at images or other containers. Empty where all that is asked for is there.
std::vector<Remark> remarks(const ContainerSpec& spec);

}  // namespace engine
