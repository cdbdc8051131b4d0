#pragma once
// The untyped tree of a Compose file: what YAML says, with the place of every value. The loader works on it; of the typed
// Project only extensions (`x-…`), provider options and the like are kept in this form.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace compose::model {

/// A place in one of the files of a load; `file` indexes Files. Line and column count from 1, 0 is unknown.
struct Place {
    uint32_t file = 0;
    uint32_t line = 0;
    uint32_t column = 0;
    explicit operator bool() const { return line != 0; }
    bool operator==(const Place&) const = default;
};

/// Who had a say in a value before it became what it is; a chain, newest first. Made only for `config --explain`.
struct Origin {
    Place place;
    std::string text;  ///< the value there, one line
    std::string note;  ///< "overridden by compose.override.yaml"; empty for a text that was interpolated
    std::vector<std::string> uses;  ///< of that text: "TAG=1.2 from .env:3"
    std::shared_ptr<const Origin> before;
};

/// One value: null, bool, integer, number, string, sequence or mapping (in the order of the file).
class Node {
public:
    struct Member;
    using Sequence = std::vector<Node>;
    using Mapping = std::vector<Member>;
    /// What `!reset` and `!override` ask of the merge; timestamp: an unquoted date, which no attribute takes.
    enum class Tag : uint8_t { none, reset, override, timestamp };

    Node();
    Node(const Node&);
    Node(Node&&) noexcept;
    Node& operator=(const Node&);
    Node& operator=(Node&&) noexcept;
    ~Node();
    Node(bool value);
    Node(int value);
    Node(int64_t value);
    Node(double value);
    Node(std::string value);
    Node(std::string_view value);
    Node(const char* value);
    explicit Node(Sequence items);
    explicit Node(Mapping members);
    static Node sequence();
    static Node mapping();
    template <class T>
    Node(const T*) = delete;  // a pointer is not a bool

    bool is_null() const { return value_.index() == 0; }
    bool is_bool() const { return value_.index() == 1; }
    bool is_int() const { return value_.index() == 2; }
    bool is_double() const { return value_.index() == 3; }
    bool is_number() const { return is_int() || is_double(); }
    bool is_string() const { return value_.index() == 4; }
    bool is_sequence() const { return value_.index() == 5; }
    bool is_mapping() const { return value_.index() == 6; }
    bool is_scalar() const { return value_.index() < 5; }

    bool as_bool() const { return std::get<1>(value_); }
    int64_t as_int() const { return std::get<2>(value_); }
    double as_double() const { return is_int() ? static_cast<double>(as_int()) : std::get<3>(value_); }
    const std::string& as_string() const { return std::get<4>(value_); }
    std::string& as_string() { return std::get<4>(value_); }
    const Sequence& items() const { return std::get<5>(value_); }
    Sequence& items() { return std::get<5>(value_); }
    const Mapping& members() const { return std::get<6>(value_); }
    Mapping& members() { return std::get<6>(value_); }

    /// The member of a mapping, or null (also when this is no mapping).
    const Node* find(std::string_view key) const;
    Node* find(std::string_view key);
    const Member* find_member(std::string_view key) const;
    /// Sets or adds; the place of an existing key stays.
    Node& set(std::string_view key, Node value);
    /// The member, added as null when absent. This must be a mapping.
    Node& at(std::string_view key);
    bool erase(std::string_view key);
    void push(Node value) { items().push_back(std::move(value)); }
    /// Number of items or members; 0 for scalars.
    size_t size() const;

    /// `string`, `integer`, `boolean`, `null`, `number`, `list`, `mapping`: for messages.
    std::string_view type_name() const;
    /// Equal values; places and order of members are of no account.
    bool operator==(const Node& other) const;

    Place place;
    Tag tag = Tag::none;
    bool quoted = false;  ///< the scalar stood in quotes or a block
    std::shared_ptr<const Origin> before;

private:
    std::variant<std::monostate, bool, int64_t, double, std::string, Sequence, Mapping> value_;
};

struct Node::Member {
    std::string key;
    Node value;
    Place place;  ///< of the key
};
bool operator==(const Node::Member& a, const Node::Member& b);

// Here, since a Node holds Members, which must be complete.
inline Node::Node() = default;
inline Node::Node(const Node&) = default;
inline Node::Node(Node&&) noexcept = default;
inline Node& Node::operator=(const Node&) = default;
inline Node& Node::operator=(Node&&) noexcept = default;
inline Node::~Node() = default;
inline Node::Node(bool value) : value_(value) {}
inline Node::Node(int value) : value_(int64_t{value}) {}
inline Node::Node(int64_t value) : value_(value) {}
inline Node::Node(double value) : value_(value) {}
inline Node::Node(std::string value) : value_(std::move(value)) {}
inline Node::Node(std::string_view value) : value_(std::string(value)) {}
inline Node::Node(const char* value) : value_(std::string(value)) {}
inline Node::Node(Sequence items) : value_(std::move(items)) {}
inline Node::Node(Mapping members) : value_(std::move(members)) {}
inline Node Node::sequence() { return Node(Sequence{}); }
inline Node Node::mapping() { return Node(Mapping{}); }

/// Size of a subtree: what a copy of it costs.
struct Weight {
    size_t nodes = 1, bytes = 0;
};
Weight weigh(const Node& node);

/// Members of a mapping that grows, found in constant time however many a hostile file has. While it is used nothing else may
/// add or remove members.
class MemberIndex {
public:
    /// `expected`: how many may be added.
    MemberIndex(Node& mapping, size_t expected);
    Node::Member* find(const std::string& key);
    /// Its key must be new.
    void push(Node::Member member);

private:
    Node& mapping_;
    bool linear_;  ///< few members: looking at all of them is quicker
    std::unordered_map<std::string, size_t> at_;
};

}  // namespace compose::model
