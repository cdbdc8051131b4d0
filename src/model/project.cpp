#include "model/project.h"

#include "base/text.h"

namespace compose::model {

int64_t Service::replicas() const {
    if (scale) return *scale;
    if (deploy && deploy->replicas) return *deploy->replicas;
    return 1;
}

std::string Service::image_name(std::string_view project) const {
    return image.empty() ? std::string(project) + "-" + name : image;
}

std::optional<std::pair<uint16_t, uint16_t>> Port::published_range() const {
    if (published.empty()) return std::pair<uint16_t, uint16_t>{0, 0};
    auto [first_text, last_text] = base::cut(published, '-');
    auto first = base::parse_int(first_text), last = last_text ? base::parse_int(*last_text) : first;
    if (!first || !last || *first < 0 || *last > 65535 || *last < *first) return std::nullopt;
    return std::pair{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

base::SourcePos Project::where(std::string_view path) const {
    if (!tree || !files) return {};
    const Node* node = tree.get();
    Place best = node->place;
    while (!path.empty() && node != nullptr) {
        if (path.front() == '[') {
            size_t end = path.find(']');
            if (end == std::string_view::npos) break;
            auto index = base::parse_int(path.substr(1, end - 1));
            path.remove_prefix(end + 1);
            bool fits = node->is_sequence() && index && *index >= 0 && static_cast<size_t>(*index) < node->items().size();
            node = fits ? &node->items()[static_cast<size_t>(*index)] : nullptr;
            if (node != nullptr && node->place) best = node->place;
            continue;
        }
        if (path.front() == '.') path.remove_prefix(1);
        // Names may hold dots: the longest member that fits is meant.
        const Node::Member* member = nullptr;
        size_t length = 0;
        if (node->is_mapping()) {
            for (const Node::Member& one : node->members()) {
                bool fits = path.starts_with(one.key) && one.key.size() >= length &&
                            (path.size() == one.key.size() || path[one.key.size()] == '.' || path[one.key.size()] == '[');
                if (!fits || one.key.empty()) continue;
                member = &one;
                length = one.key.size();
            }
        }
        if (member == nullptr) break;
        path.remove_prefix(length);
        node = &member->value;
        if (member->place) best = member->place;
        // A mapping in block style starts at its first key, a line below its own name, which says more.
        if (node->place && path.empty() && !node->is_mapping()) best = node->place;
    }
    return files->pos(best);
}

}  // namespace compose::model
