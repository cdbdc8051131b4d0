#include "model/provenance.h"

#include "base/text.h"

namespace compose::model {

namespace {

/// `environment` as a mapping, whichever way it was written.
Node provenance_mapping(const Node* node) {
    if (node != nullptr && node->is_mapping()) return *node;
    Node out = Node::mapping();
    if (node == nullptr || !node->is_sequence()) return out;
    out.place = node->place;
    for (const Node& item : node->items()) {
        if (!item.is_string()) continue;
        auto [name, value] = base::cut(item.as_string(), '=');
        Node entry = value ? Node(*value) : Node();
        entry.place = item.place;
        entry.before = item.before;
        out.members().push_back({name, std::move(entry), item.place});
    }
    return out;
}

/// The chain with one more at its end; links are shared with other values, so they are copied.
std::shared_ptr<const Origin> with_oldest(const std::shared_ptr<const Origin>& chain, std::shared_ptr<const Origin> oldest) {
    if (chain == nullptr) return oldest;
    auto copy = std::make_shared<Origin>(*chain);
    copy->before = with_oldest(chain->before, std::move(oldest));
    return copy;
}

}  // namespace

std::string Provenance::shown(const std::string& file) const {
    return file.starts_with(folder_ + "/") ? file.substr(folder_.size() + 1) : file;
}

void Provenance::note(const std::string& file, const std::shared_ptr<const std::string>& text, const std::map<std::string, int>& lines,
                      const Variables& values) {
    uint32_t index = report_.files.add(shown(file), file, text);
    for (const auto& [name, line] : lines) {
        auto value = values.find(name);
        if (value == values.end()) continue;
        auto origin = std::make_shared<Origin>();
        origin->place = {index, static_cast<uint32_t>(line), 1};
        origin->text = value->second;
        auto& newest = newest_[name];
        if (newest) newest->note = "overridden by " + shown(file);
        origin->before = newest;
        newest = std::move(origin);
    }
}

void Provenance::apply(const std::string& service) {
    Node* node = tree_.find("services");
    node = node != nullptr ? node->find(service) : nullptr;
    if (node == nullptr || !node->is_mapping() || newest_.empty()) return;
    Node own = provenance_mapping(node->find(key_));
    for (auto& [name, origin] : newest_) {
        Node* known = own.find(name);
        if (known == nullptr || known->is_null()) {
            Node& value = own.set(name, origin->text);
            value.place = origin->place;
            value.before = origin->before;
        } else {
            origin->note = "overridden by " + key_;
            known->before = with_oldest(known->before, origin);
        }
    }
    newest_.clear();
    node->set(key_, std::move(own));
}

}  // namespace compose::model
