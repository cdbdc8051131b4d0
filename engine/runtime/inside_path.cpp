#include "runtime/inside_path.h"

#include <vector>

#include "base/text.h"

namespace engine::runtime {

std::string clean_path(std::string_view path) {
    std::vector<std::string> parts;
    for (auto& part : base::split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part != "..")
            parts.push_back(part);
        else if (!parts.empty())
            parts.pop_back();
    }
    return "/" + base::join(parts, "/");
}

}  // namespace engine::runtime
