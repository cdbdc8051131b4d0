#include "model/merge.h"

#include <algorithm>
#include <unordered_set>

#include "base/text.h"
#include "model/interpolate.h"
#include "model/path.h"

namespace compose::model {

namespace {

enum class Rule : uint8_t {
    replace,      ///< the later one wins as a whole
    to_list,      ///< both as a list, appended: KEY=VALUE items, removed when repeated
    hosts,        ///< as to_list without items that are there already
    build,        ///< a string is the context
    depends_on,   ///< a list is a mapping with defaults
    keyed,        ///< a list is a mapping with empty values
    logging,      ///< options merge only under one driver
    ulimit,
    ipam_config,  ///< pools of one subnet merge
};

const PatternTable<Rule>& rules() {
    static const PatternTable<Rule> table = {
        {"networks.*.ipam.config", Rule::ipam_config},
        {"networks.*.labels", Rule::to_list},
        {"volumes.*.labels", Rule::to_list},
        {"services.*.annotations", Rule::to_list},
        {"services.*.build", Rule::build},
        {"services.*.build.args", Rule::to_list},
        {"services.*.build.additional_contexts", Rule::to_list},
        {"services.*.build.extra_hosts", Rule::hosts},
        {"services.*.build.labels", Rule::to_list},
        {"services.*.command", Rule::replace},
        {"services.*.depends_on", Rule::depends_on},
        {"services.*.deploy.labels", Rule::to_list},
        {"services.*.dns", Rule::to_list},
        {"services.*.dns_opt", Rule::to_list},
        {"services.*.dns_search", Rule::to_list},
        {"services.*.entrypoint", Rule::replace},
        {"services.*.env_file", Rule::to_list},
        {"services.*.label_file", Rule::to_list},
        {"services.*.environment", Rule::to_list},
        {"services.*.extra_hosts", Rule::hosts},
        {"services.*.healthcheck.test", Rule::replace},
        {"services.*.labels", Rule::to_list},
        {"services.*.volumes.[].volume.labels", Rule::to_list},
        {"services.*.logging", Rule::logging},
        {"services.*.models", Rule::keyed},
        {"services.*.networks", Rule::keyed},
        {"services.*.sysctls", Rule::to_list},
        {"services.*.tmpfs", Rule::to_list},
        {"services.*.ulimits.*", Rule::ulimit},
    };
    return table;
}

std::string one_line(const Node& node) {
    if (node.is_scalar()) return scalar_text(node);
    return node.is_mapping() ? "{…}" : "[…]";
}

/// A mapping as KEY=VALUE items sorted by key, a string as a list of one.
Node to_list(Node node) {
    if (node.is_sequence()) return node;
    Node list = Node::sequence();
    list.place = node.place;
    if (node.is_string()) {
        list.push(std::move(node));
        return list;
    }
    if (!node.is_mapping()) return list;
    auto& members = node.members();
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    for (Node::Member& member : members) {
        if (member.value.tag == Node::Tag::reset) continue;
        if (!member.value.is_scalar()) {
            list.push(std::move(member.value));
            continue;
        }
        Node item = member.value.is_null() ? Node(member.key) : Node(member.key + "=" + scalar_text(member.value));
        item.place = member.place ? member.place : member.value.place;
        item.before = member.value.before;
        list.push(std::move(item));
    }
    return list;
}

Node to_mapping(Node node, bool dependency) {
    if (!node.is_sequence()) return node;
    Node mapping = Node::mapping();
    mapping.place = node.place;
    MemberIndex index(mapping, node.size());
    for (Node& item : node.items()) {
        if (!item.is_string() || index.find(item.as_string()) != nullptr) continue;
        Node value;
        if (dependency) {
            value = Node::mapping();
            value.set("condition", "service_started").place = item.place;
            value.set("required", true).place = item.place;
        }
        value.place = item.place;
        index.push({item.as_string(), std::move(value), item.place});
    }
    return mapping;
}

class Merger {
public:
    explicit Merger(const MergeContext& context) : context_(context) {}

    void merge(Node& base, Node over, Segments& path) {
        if (over.tag == Node::Tag::override) {
            note_before(base, over);
            Node::Tag tag = over.tag;
            base = std::move(over);
            base.tag = context_.keep_tags ? tag : Node::Tag::none;
            return;
        }
        const Rule* rule = rules().find(path);
        if (over.is_null() && (rule == nullptr || *rule != Rule::replace)) return;  // an empty value takes nothing away
        if (rule != nullptr) return apply(*rule, base, std::move(over), path);
        if (base.is_mapping()) {
            if (!over.is_mapping()) return cannot(over, path);
            return merge_members(base, std::move(over), path);
        }
        if (base.is_sequence()) {
            if (!over.is_sequence()) return cannot(over, path);
            return append(base, std::move(over));
        }
        replace(base, std::move(over));
    }

private:
    void cannot(const Node& over, const Segments& path) {
        context_.report.error(over.place, path_text(path), "cannot override " + path_text(path) + ": a " +
                                                               std::string(over.type_name()) + " does not merge with what an earlier file says",
                              "use !override to replace it");
    }

    void note_before(const Node& base, Node& over) const {
        if (!context_.keep_origin) return;
        auto origin = std::make_shared<Origin>();
        origin->place = base.place;
        origin->text = one_line(base);
        origin->note = context_.note;
        origin->before = base.before;
        if (over.before) {  // the newer value has a past of its own: the chain goes on behind it
            auto own = std::make_shared<Origin>(*over.before);
            auto tail = own;
            while (tail->before) {
                auto next = std::make_shared<Origin>(*tail->before);
                tail->before = next;
                tail = next;
            }
            tail->before = std::move(origin);
            over.before = std::move(own);
        } else {
            over.before = std::move(origin);
        }
    }

    void replace(Node& base, Node over) {
        note_before(base, over);
        base = std::move(over);
    }

    static void append(Node& base, Node over) {
        for (Node& item : over.items()) base.push(std::move(item));
    }

    void merge_members(Node& base, Node over, Segments& path) {
        MemberIndex index(base, over.size());
        bool taken = false;
        for (Node::Member& member : over.members()) {
            Node::Member* known = index.find(member.key);
            if (member.value.tag == Node::Tag::reset) {
                taken |= take(index, known, member);
            } else if (known == nullptr) {
                index.push(std::move(member));
            } else if (known->value.tag == Node::Tag::reset) {
                if (context_.keep_tags && member.value.tag == Node::Tag::none) member.value.tag = Node::Tag::override;
                *known = std::move(member);
            } else {
                path.push_back(member.key);
                merge(known->value, std::move(member.value), path);
                path.pop_back();
            }
        }
        if (taken) remove_reset(base);
    }

    /// `!reset`: the member goes at the end of this merge, or its mark stays for a later one. True when one is to be removed.
    bool take(MemberIndex& index, Node::Member* known, Node::Member& mark) const {
        if (context_.keep_tags) {
            if (known != nullptr) *known = std::move(mark);
            else index.push(std::move(mark));
            return false;
        }
        if (known != nullptr) known->value.tag = Node::Tag::reset;
        return known != nullptr;
    }
    static void remove_reset(Node& mapping) {
        std::erase_if(mapping.members(), [](const Node::Member& member) { return member.value.tag == Node::Tag::reset; });
    }

    void apply(Rule rule, Node& base, Node over, Segments& path) {
        switch (rule) {
            case Rule::replace: return replace(base, std::move(over));
            case Rule::to_list: return lists(base, std::move(over), false);
            case Rule::hosts: return lists(base, std::move(over), true);
            case Rule::build: return build(base, std::move(over), path);
            case Rule::depends_on:
            case Rule::keyed: return mappings(base, std::move(over), path, rule == Rule::depends_on);
            case Rule::logging: return logging(base, std::move(over), path);
            case Rule::ulimit:
                if (base.is_mapping() && over.is_mapping()) return merge_members(base, std::move(over), path);
                return replace(base, std::move(over));
            case Rule::ipam_config: return pools(base, std::move(over), path);
        }
    }

    void lists(Node& base, Node over, bool skip_equal) {
        if (over.is_scalar() && !over.is_string()) return replace(base, std::move(over));  // the schema will complain
        if (base.is_mapping() && over.is_mapping()) {
            // Kept as a mapping for the sake of `!reset` of one key; the result is the same as that of two lists.
            MemberIndex index(base, over.size());
            bool taken = false;
            for (Node::Member& member : over.members()) {
                Node::Member* known = index.find(member.key);
                if (member.value.tag == Node::Tag::reset) taken |= take(index, known, member);
                else if (known != nullptr) replace(known->value, std::move(member.value));
                else index.push(std::move(member));
            }
            if (taken) remove_reset(base);
            return;
        }
        if (over.is_mapping() && base.is_sequence()) erase_items(base, over);
        Node both = to_list(std::move(base)), added = to_list(std::move(over));
        std::unordered_set<std::string> known;
        if (skip_equal) {
            for (const Node& item : both.items()) {
                if (item.is_string()) known.insert(item.as_string());
            }
        }
        for (Node& item : added.items()) {
            if (skip_equal && item.is_string() && !known.insert(item.as_string()).second) continue;
            both.push(std::move(item));
        }
        base = std::move(both);
    }

    /// Takes the `KEY=VALUE` items away whose key is marked with `!reset`.
    static void erase_items(Node& list, const Node& marks) {
        std::unordered_set<std::string_view> keys;
        for (const Node::Member& member : marks.members()) {
            if (member.value.tag == Node::Tag::reset) keys.insert(member.key);
        }
        if (keys.empty()) return;
        std::erase_if(list.items(), [&](const Node& item) {
            if (!item.is_string()) return false;
            std::string_view text = item.as_string();
            return keys.contains(text.substr(0, text.find('=')));
        });
    }

    void build(Node& base, Node over, Segments& path) {
        auto as_mapping = [](Node node) {
            if (!node.is_string()) return node;
            Node mapping = Node::mapping();
            mapping.place = node.place;
            Place place = node.place;
            mapping.set("context", std::move(node)).place = place;
            return mapping;
        };
        base = as_mapping(std::move(base));
        over = as_mapping(std::move(over));
        if (!base.is_mapping() || !over.is_mapping()) return replace(base, std::move(over));
        merge_members(base, std::move(over), path);
    }

    void mappings(Node& base, Node over, Segments& path, bool dependency) {
        base = to_mapping(std::move(base), dependency);
        over = to_mapping(std::move(over), dependency);
        if (!base.is_mapping() || !over.is_mapping()) return replace(base, std::move(over));
        merge_members(base, std::move(over), path);
    }

    void logging(Node& base, Node over, Segments& path) {
        if (!base.is_mapping() || !over.is_mapping()) return replace(base, std::move(over));
        const Node* old_driver = base.find("driver");
        const Node* new_driver = over.find("driver");
        if (old_driver == nullptr || new_driver == nullptr || *old_driver == *new_driver) {
            return merge_members(base, std::move(over), path);
        }
        replace(base, std::move(over));
    }

    void pools(Node& base, Node over, Segments& path) {
        if (!base.is_sequence() || !over.is_sequence()) return replace(base, std::move(over));
        for (Node& pool : over.items()) {
            const Node* subnet = pool.find("subnet");
            Node* twin = nullptr;
            for (Node& known : base.items()) {
                const Node* other = known.find("subnet");
                if (subnet != nullptr && other != nullptr && *subnet == *other) twin = &known;
            }
            if (twin == nullptr) {
                base.push(std::move(pool));
                continue;
            }
            path.push_back("[]");
            merge_members(*twin, std::move(pool), path);
            path.pop_back();
        }
    }

    const MergeContext& context_;
};

}  // namespace

void merge_tree(Node& base, Node over, const MergeContext& context) {
    Segments path;
    Merger(context).merge(base, std::move(over), path);
}

void merge_service(Node& base, Node over, const std::string& service, const MergeContext& context) {
    Segments path = {"services", service};
    Merger(context).merge(base, std::move(over), path);
}

void strip_tags(Node& node) {
    if (node.tag == Node::Tag::override) node.tag = Node::Tag::none;
    if (node.is_sequence()) {
        for (Node& item : node.items()) strip_tags(item);
    } else if (node.is_mapping()) {
        std::erase_if(node.members(), [](const Node::Member& member) { return member.value.tag == Node::Tag::reset; });
        for (Node::Member& member : node.members()) strip_tags(member.value);
    }
}

}  // namespace compose::model
