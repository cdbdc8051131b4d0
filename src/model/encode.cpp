// The typed Project → the tree that `config` prints. JSON has some members that YAML leaves out, as in Docker Compose:
// `command` and `entrypoint` even when they are null, and the empty `resources`, `placement` and `ipam`.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "model/fields.h"
#include "model/render.h"

namespace compose::model {

namespace {

std::string format_compose_duration(Nanoseconds value) { return base::format_duration(value); }

class Encoder {
public:
    explicit Encoder(Form form) : json_(form == Form::json) {}

    template <class T>
    Node write(const T& value) {
        Node outer = std::move(node_);
        node_ = Node::mapping();
        describe(*this, value);
        Node out = std::move(node_);
        node_ = std::move(outer);
        return out;
    }

    template <class T>
    void operator()(std::string_view key, const T& value) {
        if (auto node = node_of(value)) add(key, std::move(*node));
    }
    template <class T>
    void always(std::string_view key, const T& value) { add(key, Node(value)); }
    void unless_true(std::string_view key, bool value) {
        if (!value) add(key, Node(false));
    }
    void if_true(std::string_view key, const std::optional<bool>& value) {
        if (value.value_or(false)) add(key, Node(true));
    }
    template <class T>
    void odd(std::string_view key, std::string_view json_key, const T& value) { (*this)(json_ ? json_key : key, value); }
    template <class T>
    void unprinted(std::string_view, const T&) {}
    void trigger_hook(std::string_view key, const std::optional<Hook>& hook) {
        if (hook) add(key, write(*hook));
        else if (json_) add(key, write(Hook{}));
    }
    template <class T>
    void inline_struct(std::string_view key, const T& value) {
        Node node = write(value);
        if (json_ || node.size() > 0) add(key, std::move(node));
    }
    void command(std::string_view key, const std::optional<Strings>& value) {
        if (value) add(key, list(*value));
        else if (json_) add(key, Node());
    }
    void test(std::string_view key, const Strings& value) { (*this)(key, value); }
    void mode(std::string_view key, const std::optional<int64_t>& value) {
        if (!value) return;
        std::string digits;
        for (int64_t rest = *value; rest > 0; rest /= 8) digits.insert(digits.begin(), static_cast<char>('0' + rest % 8));
        add(key, "0" + digits);
    }
    void octal(std::string_view key, uint32_t value) {
        if (value != 0) add(key, Node(static_cast<int64_t>(value)));
    }
    void count(std::string_view key, const std::optional<int64_t>& value) {
        if (value && *value != 0) add(key, Node(*value));
    }
    void ssh(std::string_view key, const std::optional<std::vector<std::pair<std::string, std::string>>>& value) {
        if (!value || value->empty()) return;
        Node items = Node::sequence();
        // Docker prints `ID: PATH`, which it cannot read again; so does JSON, where it prints nothing.
        for (const auto& [id, path] : *value) items.push(path.empty() ? Node(id) : Node(id + (json_ ? "=" : ": ") + path));
        add(key, std::move(items));
    }
    void options(std::string_view key, const std::map<std::string, Strings>& value) {
        if (value.empty()) return;
        Node node = Node::mapping();
        for (const auto& [name, items] : value) append(node, name, list(items));
        add(key, std::move(node));
    }
    void content(std::string_view key, const FileObject& object) {
        if (object.environment.empty() && object.content && !object.content->empty()) add(key, *object.content);
    }
    void extensions(const Extensions& value) {
        for (const auto& [name, node] : value) add(name, node);
    }

private:
    static void append(Node& mapping, std::string_view key, Node value) {
        mapping.members().push_back({std::string(key), std::move(value), Place{}});
    }
    void add(std::string_view key, Node value) { append(node_, key, std::move(value)); }

    static Node list(const Strings& value) {
        Node node = Node::sequence();
        for (const std::string& item : value) node.push(item);
        return node;
    }

    // ---- by type; nullopt: left out ----

    using Maybe = std::optional<Node>;

    static Maybe node_of(const std::string& value) { return value.empty() ? Maybe() : Maybe(value); }
    static Maybe node_of(bool value) { return value ? Maybe(true) : Maybe(); }
    static Maybe node_of(const std::optional<bool>& value) { return value ? Maybe(*value) : Maybe(); }
    template <std::integral I>
    static Maybe node_of(I value) {
        return value == 0 ? Maybe() : Maybe(static_cast<int64_t>(value));
    }
    template <std::integral I>
    static Maybe node_of(const std::optional<I>& value) {
        return value ? Maybe(static_cast<int64_t>(*value)) : Maybe();
    }
    static Maybe node_of(double value) {
        if (value == 0) return std::nullopt;
        if (std::fabs(value) < 9e18 && std::trunc(value) == value) return Node(static_cast<int64_t>(value));
        // Kept in 32 bits: the shortest text that names the same number.
        char text[32];
        auto [end, error] = std::to_chars(text, text + sizeof text - 1, static_cast<float>(value));
        *end = '\0';
        return error == std::errc() ? Node(std::strtod(text, nullptr)) : Node(value);
    }
    static Maybe node_of(const Bytes& value) { return value ? Maybe(std::to_string(value.value)) : Maybe(); }
    static Maybe node_of(Nanoseconds value) { return value.count() == 0 ? Maybe() : Maybe(format_compose_duration(value)); }
    static Maybe node_of(const std::optional<Nanoseconds>& value) {
        return value ? Maybe(format_compose_duration(*value)) : Maybe();
    }
    static Maybe node_of(const Strings& value) { return value.empty() ? Maybe() : Maybe(list(value)); }
    static Maybe node_of(const Labels& value) {
        if (value.empty()) return std::nullopt;
        Node node = Node::mapping();
        for (const auto& [name, text] : value) append(node, name, text);
        return node;
    }
    static Maybe node_of(const Environment& value) {
        if (value.empty()) return std::nullopt;
        Node node = Node::mapping();
        for (const auto& [name, text] : value) append(node, name, text ? Node(*text) : Node());
        return node;
    }
    static Maybe node_of(const Hosts& value) {
        if (value.empty()) return std::nullopt;
        Strings lines;
        for (const auto& [host, addresses] : value) {
            for (const std::string& address : addresses) lines.push_back(host + "=" + address);
        }
        std::sort(lines.begin(), lines.end());
        return list(lines);
    }
    Maybe node_of(const Ulimit& value) {
        if (value.single) return Node(*value.single);
        Node node = Node::mapping();
        append(node, "soft", Node(value.soft));
        append(node, "hard", Node(value.hard));
        for (const auto& [name, extension] : value.extensions) append(node, name, extension);
        return node;
    }
    Maybe node_of(const GenericResource& value) {
        Node node = Node::mapping();
        if (value.has_spec) {
            Node spec = Node::mapping();
            if (!value.kind.empty()) append(spec, "kind", value.kind);
            append(spec, "value", Node(value.value));
            for (const auto& [name, extension] : value.spec_extensions) append(spec, name, extension);
            append(node, "discrete_resource_spec", std::move(spec));
        }
        for (const auto& [name, extension] : value.extensions) append(node, name, extension);
        return node;
    }
    template <class T>
    Maybe node_of(const std::optional<T>& value) {
        return value ? Maybe(write(*value)) : Maybe();
    }
    template <class T>
    Maybe node_of(const std::vector<T>& value) {
        if (value.empty()) return std::nullopt;
        Node node = Node::sequence();
        for (const T& item : value) {
            if constexpr (std::same_as<T, GenericResource>) node.push(*node_of(item));
            else node.push(write(item));
        }
        return node;
    }
    template <class T>
    Maybe node_of(const std::map<std::string, T>& value) {
        if (value.empty()) return std::nullopt;
        Node node = Node::mapping();
        for (const auto& [name, item] : value) {
            if constexpr (std::same_as<T, Ulimit>) append(node, name, *node_of(item));
            else if constexpr (requires { item.has_value(); }) append(node, name, item ? write(*item) : Node());
            else if constexpr (std::same_as<T, ServiceModel>) {
                Node model = write(item);
                append(node, name, model.size() == 0 ? Node() : std::move(model));
            } else append(node, name, write(item));
        }
        return node;
    }

    bool json_;
    Node node_;
};

template <class T>
void add_all(Node& out, std::string_view kind, const std::map<std::string, T>& values, Form form, bool always) {
    if (values.empty() && !always) return;
    Node node = Node::mapping();
    for (const auto& [name, value] : values) node.members().push_back({name, Encoder(form).write(value), Place{}});
    out.members().push_back({std::string(kind), std::move(node), Place{}});
}

}  // namespace

Node to_tree(const Service& service, Form form) { return Encoder(form).write(service); }
Node to_tree(const Network& network, Form form) { return Encoder(form).write(network); }
Node to_tree(const Volume& volume, Form form) { return Encoder(form).write(volume); }

Node to_tree(const Project& project, Form form) {
    Node out = Node::mapping();
    out.members().push_back({"name", Node(project.name), Place{}});
    add_all(out, "services", project.services, form, true);
    add_all(out, "networks", project.networks, form, false);
    add_all(out, "volumes", project.volumes, form, false);
    add_all(out, "secrets", project.secrets, form, false);
    add_all(out, "configs", project.configs, form, false);
    add_all(out, "models", project.models, form, false);
    for (const auto& [name, node] : project.extensions) out.members().push_back({name, node, Place{}});
    return out;
}

}  // namespace compose::model
