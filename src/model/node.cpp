#include "model/node.h"

#include <algorithm>

namespace compose::model {

const Node::Member* Node::find_member(std::string_view key) const {
    if (!is_mapping()) return nullptr;
    for (const Member& member : members()) {
        if (member.key == key) return &member;
    }
    return nullptr;
}

const Node* Node::find(std::string_view key) const {
    const Member* member = find_member(key);
    return member != nullptr ? &member->value : nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

Node& Node::set(std::string_view key, Node value) {
    Node& slot = at(key);
    slot = std::move(value);
    return slot;
}

Node& Node::at(std::string_view key) {
    if (Node* found = find(key)) return *found;
    members().push_back({std::string(key), Node(), Place{}});
    return members().back().value;
}

bool Node::erase(std::string_view key) {
    if (!is_mapping()) return false;
    auto& list = members();
    auto found = std::find_if(list.begin(), list.end(), [&](const Member& member) { return member.key == key; });
    if (found == list.end()) return false;
    list.erase(found);
    return true;
}

size_t Node::size() const {
    if (is_sequence()) return items().size();
    if (is_mapping()) return members().size();
    return 0;
}

std::string_view Node::type_name() const {
    switch (value_.index()) {
        case 0: return "null";
        case 1: return "boolean";
        case 2: return "integer";
        case 3: return "number";
        case 4: return tag == Tag::timestamp ? "date" : "string";
        case 5: return "list";
        default: return "mapping";
    }
}

bool Node::operator==(const Node& other) const {
    if (is_number() && other.is_number() && value_.index() != other.value_.index()) return as_double() == other.as_double();
    if (value_.index() != other.value_.index()) return false;
    if (!is_mapping()) return value_ == other.value_;
    if (size() != other.size()) return false;
    for (size_t at = 0; at < members().size(); ++at) {
        const Member& member = members()[at];
        const Member& beside = other.members()[at];  // mostly the same order
        const Node* twin = beside.key == member.key ? &beside.value : other.find(member.key);
        if (twin == nullptr || !(member.value == *twin)) return false;
    }
    return true;
}

bool operator==(const Node::Member& a, const Node::Member& b) { return a.key == b.key && a.value == b.value; }

Weight weigh(const Node& node) {
    Weight sum;
    auto add = [&](const Node& child) {
        Weight inner = weigh(child);
        sum.nodes += inner.nodes;
        sum.bytes += inner.bytes;
    };
    if (node.is_string()) {
        sum.bytes = node.as_string().size();
    } else if (node.is_sequence()) {
        for (const Node& child : node.items()) add(child);
    } else if (node.is_mapping()) {
        for (const Node::Member& member : node.members()) {
            sum.bytes += member.key.size();
            add(member.value);
        }
    }
    return sum;
}

MemberIndex::MemberIndex(Node& mapping, size_t expected) : mapping_(mapping), linear_(mapping.size() + expected <= 32) {
    if (linear_) return;
    for (size_t at = 0; at < mapping.members().size(); ++at) at_.emplace(mapping.members()[at].key, at);
}

Node::Member* MemberIndex::find(const std::string& key) {
    auto& members = mapping_.members();
    if (linear_) {
        for (Node::Member& member : members) {
            if (member.key == key) return &member;
        }
        return nullptr;
    }
    auto found = at_.find(key);
    return found != at_.end() ? &members[found->second] : nullptr;
}

void MemberIndex::push(Node::Member member) {
    if (!linear_) at_.emplace(member.key, mapping_.members().size());
    mapping_.members().push_back(std::move(member));
}

}  // namespace compose::model
