#include "model/decode.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "model/canonical.h"
#include "model/fields.h"
#include "model/interpolate.h"
#include "model/path.h"
#include "model/short_forms.h"

namespace compose::model {

namespace {

std::optional<int64_t> to_int(const Node& node) {
    if (node.is_int()) return node.as_int();
    if (node.is_double() && std::fabs(node.as_double()) < 9e18 && std::trunc(node.as_double()) == node.as_double()) {
        return static_cast<int64_t>(node.as_double());
    }
    if (node.is_string()) return base::parse_int(node.as_string());
    return std::nullopt;
}

std::optional<bool> to_bool(const Node& node) {
    if (node.is_bool()) return node.as_bool();
    if (!node.is_string()) return std::nullopt;
    std::string text = base::to_lower(node.as_string());
    if (text == "y" || text == "yes" || text == "true" || text == "on") return true;
    if (text == "n" || text == "no" || text == "false" || text == "off") return false;
    return std::nullopt;
}

class Decoder {
public:
    Decoder(Report& report, Segments& path) : report_(report), path_(path) {}

    /// Reads a mapping into a struct.
    template <class T>
    void read(const Node& node, T& out) {
        const Node* outer = node_;
        node_ = &node;
        describe(*this, out);
        node_ = outer;
    }

    template <class T>
    void operator()(std::string_view key, T& out) {
        const Node* value = node_->find(key);
        if (value == nullptr) return;
        path_.push_back(key);
        value_at(*value, out);
        path_.pop_back();
    }

    template <class T>
    void always(std::string_view key, T& out) { (*this)(key, out); }
    void unless_true(std::string_view key, bool& out) { (*this)(key, out); }
    void if_true(std::string_view key, std::optional<bool>& out) { (*this)(key, out); }
    template <class T>
    void odd(std::string_view key, std::string_view, T& out) { (*this)(key, out); }
    template <class T>
    void unprinted(std::string_view key, T& out) { (*this)(key, out); }
    void trigger_hook(std::string_view key, std::optional<Hook>& out) { (*this)(key, out); }
    template <class T>
    void inline_struct(std::string_view key, T& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || !value->is_mapping()) return;
        path_.push_back(key);
        read(*value, out);
        path_.pop_back();
    }

    void command(std::string_view key, std::optional<Strings>& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || value->is_null()) return;
        if (value->is_sequence()) {
            out = strings(*value);
        } else if (value->is_string()) {
            out = split_command(value->as_string());
            if (!out) error(key, *value, "invalid command line string", "a quote is not closed, or use a list");
        }
    }

    void test(std::string_view key, Strings& out) {
        const Node* value = node_->find(key);
        if (value == nullptr) return;
        if (value->is_string()) out = {"CMD-SHELL", value->as_string()};
        if (value->is_sequence()) out = strings(*value);
    }

    void mode(std::string_view key, std::optional<int64_t>& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || value->is_null()) return;
        if (value->is_string()) out = octal_text(*value, key);
        else out = to_int(*value);
    }

    void octal(std::string_view key, uint32_t& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || value->is_null()) return;
        auto number = value->is_string() ? octal_text(*value, key) : to_int(*value);
        if (number && *number >= 0 && *number <= UINT32_MAX) out = static_cast<uint32_t>(*number);
    }

    void count(std::string_view key, std::optional<int64_t>& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || value->is_null()) return;
        if (value->is_string() && base::to_lower(value->as_string()) == "all") {
            out = -1;
            return;
        }
        out = to_int(*value);
        if (!out) error(key, *value, "invalid value " + base::quote(scalar_text(*value)) + ", the only value allowed is 'all' or a number");
    }

    void ssh(std::string_view key, std::optional<std::vector<std::pair<std::string, std::string>>>& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || !value->is_mapping()) return;
        out.emplace();
        for (const Node::Member& member : value->members()) out->emplace_back(member.key, scalar_text(member.value));
        std::sort(out->begin(), out->end());
    }

    void options(std::string_view key, std::map<std::string, Strings>& out) {
        const Node* value = node_->find(key);
        if (value == nullptr || !value->is_mapping()) return;
        for (const Node::Member& member : value->members()) {
            if (member.value.is_sequence()) out[member.key] = strings(member.value);
            else out[member.key] = {scalar_text(member.value)};
        }
    }

    void content(std::string_view key, FileObject& out) {
        const Node* value = node_->find(key);
        if (value == nullptr) value = node_->find(kHiddenContent);
        if (value != nullptr && value->is_scalar()) out.content = scalar_text(*value);
    }

    void extensions(Extensions& out) {
        for (const Node::Member& member : node_->members()) {
            if (member.key.starts_with("x-")) out[member.key] = member.value;
        }
    }

private:
    void error(std::string_view key, const Node& node, std::string message, std::string suggestion = {}) {
        path_.push_back(key);
        report_.error(node.place, path_text(path_), std::move(message), std::move(suggestion));
        path_.pop_back();
    }
    void error(const Node& node, std::string message, std::string suggestion = {}) {
        report_.error(node.place, path_text(path_), std::move(message), std::move(suggestion));
    }

    static Strings strings(const Node& node) {
        Strings out;
        if (node.is_string()) out.push_back(node.as_string());
        if (node.is_sequence()) {
            for (const Node& item : node.items()) {
                if (item.is_scalar()) out.push_back(scalar_text(item));
            }
        }
        return out;
    }

    std::optional<int64_t> octal_text(const Node& node, std::string_view key) {
        std::string_view text = node.as_string();
        if (text.starts_with("0o") || text.starts_with("0O")) text.remove_prefix(2);
        int64_t value = 0;
        auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
        if (failed == std::errc() && end == text.data() + text.size() && !text.empty() && value >= 0) return value;
        error(key, node, "must be an octal number, not " + base::quote(node.as_string()), "write it like \"0444\"");
        return std::nullopt;
    }

    // ---- by type ----

    void value_at(const Node& node, std::string& out) {
        if (node.is_scalar()) out = scalar_text(node);
    }
    void value_at(const Node& node, bool& out) {
        std::optional<bool> value;
        value_at(node, value);
        if (value) out = *value;
    }
    void value_at(const Node& node, std::optional<bool>& out) {
        if (node.is_null()) return;
        out = to_bool(node);
        if (!out && node.is_string()) error(node, "must be true or false, not " + base::quote(node.as_string()));
    }
    template <std::integral I>
    void value_at(const Node& node, I& out) {
        if (node.is_null()) return;
        auto value = to_int(node);
        if (value && std::in_range<I>(*value)) {
            out = static_cast<I>(*value);
        } else if (node.is_scalar()) {
            error(node, "must be an integer, not " + base::quote(scalar_text(node)));
        }
    }
    template <std::integral I>
    void value_at(const Node& node, std::optional<I>& out) {
        if (node.is_null()) return;
        I value{};
        size_t before = report_.errors();
        value_at(node, value);
        if (report_.errors() == before && node.is_scalar()) out = value;
    }
    void value_at(const Node& node, double& out) {
        if (node.is_number()) {
            out = node.as_double();
        } else if (node.is_string()) {
            char* end = nullptr;
            const std::string& text = node.as_string();
            double value = std::strtod(text.c_str(), &end);
            if (text.empty() || end != text.c_str() + text.size() || std::isnan(value)) error(node, "must be a number, not " + base::quote(text));
            else out = value;
        }
        // Docker Compose keeps these numbers in 32 bits.
        out = std::fabs(out) < 1e38 ? static_cast<double>(static_cast<float>(out)) : out;
    }
    void value_at(const Node& node, Bytes& out) {
        if (node.is_int()) {
            out.value = node.as_int();
        } else if (node.is_double()) {
            if (std::fabs(node.as_double()) < 9e18) out.value = static_cast<int64_t>(node.as_double());
        } else if (node.is_string()) {
            if (auto number = base::parse_int(node.as_string())) {
                out.value = *number;
                return;
            }
            auto size = parse_size(node.as_string());
            if (size) out.value = *size;
            else error(node, size.error(), "write bytes with a unit, as 512m or 1.5g");
        }
    }
    void value_at(const Node& node, Nanoseconds& out) {
        if (!node.is_string()) return;
        auto value = parse_compose_duration(node.as_string());
        if (value) out = *value;
        else error(node, "invalid duration " + base::quote(node.as_string()), "write numbers with units, as 1m30s");
    }
    void value_at(const Node& node, std::optional<Nanoseconds>& out) {
        if (!node.is_string()) return;
        Nanoseconds value{0};
        value_at(node, value);
        out = value;
    }
    void value_at(const Node& node, Strings& out) { out = strings(node); }

    void value_at(const Node& node, Labels& out) {
        if (node.is_mapping()) {
            for (const Node::Member& member : node.members()) {
                if (member.value.is_scalar()) out[member.key] = scalar_text(member.value);
            }
        } else if (node.is_sequence()) {
            for (const Node& item : node.items()) {
                if (!item.is_scalar()) continue;
                auto [name, value] = base::cut(scalar_text(item), '=');
                out[name] = value.value_or("");
            }
        }
    }
    void value_at(const Node& node, Environment& out) {
        if (node.is_mapping()) {
            for (const Node::Member& member : node.members()) {
                if (member.value.is_null()) out[member.key] = std::nullopt;
                else if (member.value.is_scalar()) out[member.key] = scalar_text(member.value);
            }
        } else if (node.is_sequence()) {
            for (const Node& item : node.items()) {
                if (!item.is_scalar()) continue;
                auto [name, value] = base::cut(scalar_text(item), '=');
                out[name] = value;
            }
        }
    }
    void value_at(const Node& node, Hosts& out) {
        auto add = [&](const std::string& host, std::string address) {
            if (address.size() > 1 && address.front() == '[' && address.back() == ']') address = address.substr(1, address.size() - 2);
            out[host].push_back(std::move(address));
        };
        if (node.is_mapping()) {
            for (const Node::Member& member : node.members()) {
                for (std::string& address : strings(member.value)) add(member.key, std::move(address));
            }
        } else if (node.is_sequence()) {
            for (const Node& item : node.items()) {
                if (!item.is_string()) continue;
                const std::string& text = item.as_string();
                size_t split = text.find('=');
                if (split == std::string::npos) split = text.find(':');
                if (split == std::string::npos || split == 0) {
                    error(item, "invalid additional host, missing IP: " + text, "write HOST=ADDRESS");
                    continue;
                }
                add(text.substr(0, split), text.substr(split + 1));
            }
        }
        for (auto& [host, addresses] : out) std::sort(addresses.begin(), addresses.end());
    }
    void value_at(const Node& node, Ulimit& out) {
        if (node.is_mapping()) {
            read(node, out);
        } else if (auto value = to_int(node)) {
            out.single = out.soft = out.hard = *value;
        } else if (node.is_scalar()) {
            error(node, "must be an integer, not " + base::quote(scalar_text(node)));
        }
    }
    void value_at(const Node& node, GenericResource& out) {
        if (!node.is_mapping()) return;
        read_generic(node, out);
    }
    void read_generic(const Node& node, GenericResource& out) {
        const Node* outer = node_;
        node_ = &node;
        extensions(out.extensions);
        if (const Node* spec = node.find("discrete_resource_spec"); spec != nullptr && spec->is_mapping()) {
            out.has_spec = true;
            node_ = spec;
            (*this)("kind", out.kind);
            (*this)("value", out.value);
            extensions(out.spec_extensions);
        }
        node_ = outer;
    }
    template <class T>
        requires std::is_class_v<T>
    void value_at(const Node& node, T& out) {
        if (node.is_mapping()) read(node, out);
    }
    template <class T>
    void value_at(const Node& node, std::optional<T>& out) {
        if (node.is_null()) return;
        if (!node.is_mapping()) return;
        out.emplace();
        read(node, *out);
    }
    template <class T>
    void value_at(const Node& node, std::vector<T>& out) {
        if (!node.is_sequence()) return;
        for (size_t index = 0; index < node.items().size(); ++index) {
            std::string segment = "[" + std::to_string(index) + "]";
            path_.push_back(segment);
            out.emplace_back();
            value_at(node.items()[index], out.back());
            path_.pop_back();
        }
    }
    template <class T>
    void value_at(const Node& node, std::map<std::string, T>& out) {
        if (!node.is_mapping()) return;
        for (const Node::Member& member : node.members()) {
            path_.push_back(member.key);
            value_at(member.value, out[member.key]);
            path_.pop_back();
        }
    }

    Report& report_;
    Segments& path_;
    const Node* node_ = nullptr;
};

}  // namespace

/// In this file, since only the decoder reads the long form this way.
template <class V, Is<Ulimit> T>
void describe(V& v, T& x) {
    v("soft", x.soft);
    v("hard", x.hard);
    v.extensions(x.extensions);
}

namespace {

template <class T>
void decode_map(const Node& root, std::string_view kind, std::map<std::string, T>& out, Decoder& decoder, Segments& path) {
    const Node* mapping = root.find(kind);
    if (mapping == nullptr || !mapping->is_mapping()) return;
    path.push_back(kind);
    for (const Node::Member& member : mapping->members()) {
        path.push_back(member.key);
        T& value = out[member.key];
        if (member.value.is_mapping()) decoder.read(member.value, value);
        path.pop_back();
    }
    path.pop_back();
}

}  // namespace

void decode(const Node& root, Project& project, Report& report) {
    Segments path;
    Decoder decoder(report, path);
    decode_map(root, "services", project.services, decoder, path);
    for (auto& [name, service] : project.services) service.name = name;
    if (const Node* services = root.find("services"); services != nullptr && services->is_mapping()) {
        for (const Node::Member& member : services->members()) project.service_order.push_back(member.key);
    }
    decode_map(root, "networks", project.networks, decoder, path);
    decode_map(root, "volumes", project.volumes, decoder, path);
    decode_map(root, "secrets", project.secrets, decoder, path);
    decode_map(root, "configs", project.configs, decoder, path);
    decode_map(root, "models", project.models, decoder, path);
    if (root.is_mapping()) {
        for (const Node::Member& member : root.members()) {
            if (member.key.starts_with("x-")) project.extensions[member.key] = member.value;
        }
    }
}

}  // namespace compose::model
