// Wraps libyaml, the parser that go-yaml is a translation of: what is a syntax error there is one here.
#include "model/yaml_reader.h"

#include <yaml.h>

#include <cstring>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "model/hints.h"

namespace compose::model {

namespace {

std::string_view bytes(const unsigned char* text, size_t length) { return {reinterpret_cast<const char*>(text), length}; }
std::string_view bytes(const unsigned char* text) {
    return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}

std::string long_tag(std::string_view tag) {
    constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
    if (tag.starts_with(kPrefix)) return "!!" + std::string(tag.substr(kPrefix.size()));
    return std::string(tag);
}

struct Event {
    yaml_event_t raw{};
    ~Event() { yaml_event_delete(&raw); }
    Event() = default;
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
};

class Reader {
public:
    Reader(std::string_view text, uint32_t file, Report& report) : text_(text), file_(file), report_(report) {
        ready_ = yaml_parser_initialize(&parser_) != 0;
        if (!ready_) return;
        yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    }
    ~Reader() {
        if (ready_) yaml_parser_delete(&parser_);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    std::vector<Node> run() {
        std::vector<Node> documents;
        size_t errors = report_.errors();
        while (ready_ && !stop_) {
            Event event;
            if (!next(event)) break;
            if (event.raw.type == YAML_STREAM_END_EVENT) break;
            if (event.raw.type != YAML_DOCUMENT_START_EVENT) continue;
            anchors_.clear();
            open_.clear();
            Event root;
            if (!next(root)) break;
            Node node = read(root, "", 0);
            if (stop_) break;
            documents.push_back(std::move(node));
        }
        if (report_.errors() != errors) documents.clear();
        return documents;
    }

private:
    struct Anchor {
        Node node;
        Weight weight;
    };

    Place place(const yaml_mark_t& mark) const {
        return {file_, static_cast<uint32_t>(mark.line) + 1, static_cast<uint32_t>(mark.column) + 1};
    }

    void fail(Place at, const std::string& path, std::string message, std::string suggestion = {}) {
        report_.error(at, path, std::move(message), std::move(suggestion));
        stop_ = true;
    }

    bool next(Event& event) {
        if (yaml_parser_parse(&parser_, &event.raw) != 0) return true;
        syntax_error();
        return false;
    }

    void syntax_error() {
        std::string problem = parser_.problem != nullptr ? parser_.problem : "it cannot be read as YAML";
        if (parser_.error == YAML_READER_ERROR) {
            // The reader knows only an offset in bytes.
            uint32_t line = 1, column = 1;
            for (size_t at = 0; at < parser_.problem_offset && at < text_.size(); ++at) {
                column = text_[at] == '\n' ? 1 : column + 1;
                if (text_[at] == '\n') ++line;
            }
            return fail({file_, line, column}, "", "not valid YAML: " + problem, syntax_hint({problem, {}, text_, line, column, 0, 0}));
        }
        Place at = place(parser_.problem_mark);
        SyntaxError error{problem, {}, text_, at.line, at.column, 0, 0};
        std::string told = problem;
        if (parser_.context != nullptr) {
            error.context = parser_.context;
            error.context_line = parser_.context_mark.line + 1;
            error.context_column = parser_.context_mark.column + 1;
            told = std::string(parser_.context) + " (line " + std::to_string(error.context_line) + "): " + problem;
        }
        // What is open to the end of the file was opened somewhere, and that is the place to look at.
        if (problem.find("end of stream") != std::string::npos && error.context_line > 0) at = place(parser_.context_mark);
        fail(at, "", "not valid YAML: " + told, syntax_hint(error));
    }

    Node read(Event& event, const std::string& path, size_t depth) {
        Place at = place(event.raw.start_mark);
        if (depth > kMaxDepth) {
            fail(at, "", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
            return {};
        }
        if (++nodes_ > kMaxNodes) {
            fail(at, "", "more than " + std::to_string(kMaxNodes) + " values");
            return {};
        }
        switch (event.raw.type) {
            case YAML_SCALAR_EVENT: return scalar(event, at);
            case YAML_ALIAS_EVENT: return alias(event, at, path);
            case YAML_SEQUENCE_START_EVENT: return sequence(event, at, path, depth);
            case YAML_MAPPING_START_EVENT: return mapping(event, at, path, depth);
            default: fail(at, path, "not valid YAML: unexpected end"); return {};
        }
    }

    static Node::Tag custom_tag(std::string_view tag) {
        if (tag == "!reset") return Node::Tag::reset;
        if (tag == "!override") return Node::Tag::override;
        return Node::Tag::none;
    }

    Node scalar(Event& event, Place at) {
        auto& data = event.raw.data.scalar;
        std::string_view value = bytes(data.value, data.length);
        std::string tag = long_tag(bytes(data.tag));
        bool plain = data.style == YAML_PLAIN_SCALAR_STYLE;
        Node node;
        if (tag == "!!str" || (!plain && (tag.empty() || tag == "!"))) {
            node = Node(value);
        } else if (tag == "!!null") {
            node = Node();
        } else if (tag == "!!binary") {
            node = Node(value);
        } else if (tag == "!!int" || tag == "!!float" || tag == "!!bool" || tag.empty()) {
            node = resolve_plain_scalar(value);
            if (tag == "!!float" && node.is_int()) node = Node(node.as_double());
            bool fits = tag.empty() || (tag == "!!int" && node.is_int()) || (tag == "!!float" && node.is_double()) ||
                        (tag == "!!bool" && node.is_bool());
            if (!fits) fail(at, "", "cannot read " + base::quote(value) + " as " + tag);
        } else {
            node = plain && tag.starts_with("!") && custom_tag(tag) == Node::Tag::none ? Node(value)
                   : plain                                                            ? resolve_plain_scalar(value)
                                                                                      : Node(value);
        }
        if (node.tag == Node::Tag::none) node.tag = custom_tag(tag);
        node.quoted = !plain;
        node.place = at;
        remember(bytes(data.anchor), node);
        return node;
    }

    void remember(std::string_view anchor, const Node& node) {
        if (anchor.empty() || stop_) return;
        Weight weight = weigh(node);
        anchored_ += weight.nodes;
        alias_bytes_ += weight.bytes;
        if (anchored_ > 2 * kMaxNodes || alias_bytes_ > kMaxAliasBytes) return fail(node.place, "", "the document contains excessive aliasing");
        anchors_[std::string(anchor)] = Anchor{node, weight};
    }

    Node alias(Event& event, Place at, const std::string& path) {
        std::string name(bytes(event.raw.data.alias.anchor));
        if (auto loop = open_.find(name); loop != open_.end() && loop->second > 0) {
            fail(at, path, "cycle detected: alias *" + name + " is inside of what it stands for");
            return {};
        }
        auto found = anchors_.find(name);
        if (found == anchors_.end()) {
            std::vector<std::string> known;
            for (const auto& [anchor, value] : anchors_) known.push_back(anchor);
            auto near = base::closest(name, known);
            fail(at, path, "unknown anchor '" + name + "' referenced",
                 near ? "did you mean *" + *near + "?" : "anchors do not cross files or documents");
            return {};
        }
        nodes_ += found->second.weight.nodes;
        alias_bytes_ += found->second.weight.bytes;
        if (nodes_ > kMaxNodes || alias_bytes_ > kMaxAliasBytes) {
            fail(at, path, "the document contains excessive aliasing");
            return {};
        }
        return found->second.node;  // with the places where it was written
    }

    Node sequence(Event& event, Place at, const std::string& path, size_t depth) {
        std::string anchor(bytes(event.raw.data.sequence_start.anchor));
        Node node = Node::sequence();
        node.place = at;
        node.tag = custom_tag(bytes(event.raw.data.sequence_start.tag));
        if (!anchor.empty()) ++open_[anchor];
        for (size_t index = 0; !stop_; ++index) {
            Event item;
            if (!next(item)) break;
            if (item.raw.type == YAML_SEQUENCE_END_EVENT) break;
            Node value = read(item, path + "[" + std::to_string(index) + "]", depth + 1);
            if (value.tag == Node::Tag::reset) continue;
            node.push(std::move(value));
        }
        if (!anchor.empty()) --open_[anchor];
        remember(anchor, node);
        return node;
    }

    Node mapping(Event& event, Place at, const std::string& path, size_t depth) {
        std::string anchor(bytes(event.raw.data.mapping_start.anchor));
        Node node = Node::mapping();
        node.place = at;
        node.tag = custom_tag(bytes(event.raw.data.mapping_start.tag));
        if (!anchor.empty()) ++open_[anchor];
        std::vector<Node> merges;
        std::unordered_map<std::string, uint32_t> lines;  // of keys, to find duplicates in linear time
        while (!stop_) {
            Event key_event;
            if (!next(key_event)) break;
            if (key_event.raw.type == YAML_MAPPING_END_EVENT) break;
            Place key_at = place(key_event.raw.start_mark);
            bool plain_key = key_event.raw.type == YAML_SCALAR_EVENT &&
                             key_event.raw.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
            Node key = read(key_event, path, depth + 1);
            if (stop_) break;
            if (!key.is_string() || key.tag == Node::Tag::timestamp) {
                std::string text = key.is_scalar() ? std::string(report_text(key, key_event)) : std::string(key.type_name());
                fail(key_at, path, path.empty() ? "non-string key at top level: " + text : "non-string key in " + path + ": " + text,
                     key.is_scalar() ? "put it in quotes" : "");
                break;
            }
            std::string name = key.as_string();
            bool merge = plain_key && name == "<<";
            Event value_event;
            if (!next(value_event)) break;
            std::string child = path.empty() ? name : path + "." + name;
            if (child.size() > kMaxPath) {
                fail(key_at, "", "the names that lead here are longer than " + std::to_string(kMaxPath) + " bytes");
                break;
            }
            Node value = read(value_event, child, depth + 1);
            if (stop_) break;
            auto [known, fresh] = lines.emplace(name, key_at.line);
            if (!fresh) {
                // Go on after this one: a second slip in the file shall be seen too.
                report_.error(key_at, path, "mapping key " + base::quote(name) + " already defined at line " +
                                                std::to_string(known->second));
                continue;
            }
            if (merge) {
                collect_merge(std::move(value), key_at, path, merges);
                continue;
            }
            node.members().push_back({std::move(name), std::move(value), key_at});
        }
        // Own keys win over merged ones wherever `<<` stands; of several sources the earlier wins.
        for (Node& source : merges) {
            for (Node::Member& member : source.members()) {
                if (lines.emplace(member.key, member.place.line).second) node.members().push_back(std::move(member));
            }
        }
        if (!anchor.empty()) --open_[anchor];
        remember(anchor, node);
        return node;
    }

    static std::string_view report_text(const Node& key, const Event& event) {
        if (event.raw.type == YAML_SCALAR_EVENT && event.raw.data.scalar.length > 0) {
            return bytes(event.raw.data.scalar.value, event.raw.data.scalar.length);
        }
        return key.type_name();
    }

    void collect_merge(Node value, Place at, const std::string& path, std::vector<Node>& merges) {
        auto wrong = [&] {
            fail(at, path, "map merge requires map or sequence of maps as the value",
                 "`<<` takes an alias of a mapping: `<<: *name`");
        };
        if (value.is_mapping()) {
            merges.push_back(std::move(value));
        } else if (value.is_sequence()) {
            for (Node& item : value.items()) {
                if (!item.is_mapping()) return wrong();
                merges.push_back(std::move(item));
            }
        } else {
            wrong();
        }
    }

    std::string_view text_;
    uint32_t file_;
    Report& report_;
    yaml_parser_t parser_{};
    bool ready_ = false, stop_ = false;
    size_t nodes_ = 0, anchored_ = 0, alias_bytes_ = 0;
    std::map<std::string, Anchor> anchors_;
    std::map<std::string, int> open_;  ///< anchors of collections that are being read
};

}  // namespace

std::vector<Node> read_yaml(std::string_view text, uint32_t file, Report& report) {
    if (text.size() > kMaxFileBytes) {
        report.file_error(file < report.files.files.size() ? report.files.files[file].name : "",
                          "larger than " + std::to_string(kMaxFileBytes >> 20) + " MiB");
        return {};
    }
    return Reader(text, file, report).run();
}

}  // namespace compose::model
