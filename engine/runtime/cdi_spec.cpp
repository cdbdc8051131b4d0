// One CDI file: its document read strictly, as the reference does. A member that nobody knows may change what a container gets, so
// it is an error and never passed over.
#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/text.h"
#include "runtime/cdi.h"
#include "runtime/yaml_json.h"

namespace engine::runtime {
namespace {
namespace json = boost::json;
using base::Code;
using base::Result;

/// major * 100 + minor of the versions of the specification.
constexpr int kCdiVersions[] = {1, 2, 3, 4, 5, 6, 7, 8, 100, 101};

bool cdi_word(std::string_view text, std::string_view also, bool letter_first) {
    auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
    auto letter = [&](char c) { return alnum(c) && !(c >= '0' && c <= '9'); };
    if (text.empty() || !alnum(text.back()) || !(letter_first ? letter(text[0]) : alnum(text[0]))) return false;
    return std::all_of(text.begin(), text.end(), [&](char c) { return alnum(c) || also.find(c) != std::string_view::npos; });
}

/// Reads members and keeps the first complaint.
class CdiReader {
public:
    std::optional<base::Error> error, refused;
    int needed = 1;            ///< the version that the members used need
    std::string needed_by;

    void complain(const std::string& path, const std::string& what) {
        if (!error) error = base::fail(Code::invalid, path + ": " + what);
    }
    void refuse(const std::string& path, const std::string& what) {
        if (!refused) refused = base::fail(Code::unsupported, path + ": " + what);
    }
    void need(int version, const std::string& path) {
        if (version <= needed) return;
        needed = version;
        needed_by = path;
    }
    void only(const json::object& object, std::initializer_list<std::string_view> known, const std::string& path) {
        for (const auto& member : object)
            if (std::find(known.begin(), known.end(), std::string_view(member.key())) == known.end())
                complain(path + (path.empty() ? "" : ".") + std::string(member.key()), "unknown member");
    }
    std::string text(const json::object& object, std::string_view key, const std::string& path) {
        const json::value* value = object.if_contains(key);
        if (value == nullptr || value->is_null()) return "";
        if (value->is_string()) return std::string(value->get_string());
        complain(path + "." + std::string(key), "must be a text");
        return "";
    }
    std::vector<std::string> texts(const json::object& object, std::string_view key, const std::string& path) {
        std::vector<std::string> out;
        for (const json::value* value : list(object, key, path)) {
            if (value->is_string())
                out.emplace_back(value->get_string());
            else
                complain(path + "." + std::string(key), "must be a list of texts");
        }
        return out;
    }
    std::vector<const json::object*> objects(const json::object& object, std::string_view key, const std::string& path) {
        std::vector<const json::object*> out;
        for (const json::value* value : list(object, key, path)) {
            if (value->is_object())
                out.push_back(&value->get_object());
            else
                complain(path + "." + std::string(key), "must be a list of objects");
        }
        return out;
    }
    std::vector<const json::value*> list(const json::object& object, std::string_view key, const std::string& path) {
        std::vector<const json::value*> out;
        const json::value* value = object.if_contains(key);
        if (value == nullptr || value->is_null()) return out;
        if (!value->is_array()) {
            complain(path + "." + std::string(key), "must be a list");
            return out;
        }
        for (const json::value& entry : value->get_array()) out.push_back(&entry);
        return out;
    }
    std::optional<uint32_t> number(const json::object& object, std::string_view key, const std::string& path, uint32_t most = UINT32_MAX) {
        const json::value* value = object.if_contains(key);
        if (value == nullptr || value->is_null()) return std::nullopt;
        if (value->is_int64() && value->get_int64() >= 0 && value->get_int64() <= most) return static_cast<uint32_t>(value->get_int64());
        complain(path + "." + std::string(key), "must be a whole number from 0 to " + std::to_string(most));
        return std::nullopt;
    }

    std::vector<std::string> variables(const json::object& object, const std::string& path) {
        std::vector<std::string> out = texts(object, "env", path);
        for (const std::string& entry : out)
            if (entry.find('=') == std::string::npos || entry[0] == '=' || entry.find('\0') != std::string::npos) complain(path + ".env", base::quote(entry) + " is not NAME=VALUE");
        return out;
    }

    CdiNode node(const json::object& object, const std::string& path) {
        only(object, {"path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"}, path);
        CdiNode out;
        out.path = text(object, "path", path);
        out.host_path = text(object, "hostPath", path);
        if (!out.host_path.empty()) need(5, path + ".hostPath");
        if (out.host_path.empty()) out.host_path = out.path;
        for (const std::string* place : {&out.path, &out.host_path})
            if (place->empty() || (*place)[0] != '/' || place->find('\0') != std::string::npos) complain(path, "paths must be absolute");
        std::string type = text(object, "type", path);
        if (!type.empty() && (type.size() != 1 || std::string_view("bcup").find(type[0]) == std::string_view::npos)) complain(path + ".type", "must be b, c, u or p");
        out.type = type.empty() ? '\0' : type[0] == 'u' ? 'c' : type[0];
        out.major = number(object, "major", path).value_or(0);
        out.minor = number(object, "minor", path).value_or(0);
        out.mode = number(object, "fileMode", path, 07777);
        out.uid = number(object, "uid", path);
        out.gid = number(object, "gid", path);
        if (std::string permissions = text(object, "permissions", path); permissions == "none")
            out.permissions.clear();
        else if (permissions.find_first_not_of("rwm") != std::string::npos)
            complain(path + ".permissions", "must be of r, w and m");
        else if (!permissions.empty())
            out.permissions = permissions;
        return out;
    }

    Mount mount(const json::object& object, const std::string& path) {
        only(object, {"hostPath", "containerPath", "options", "type"}, path);
        Mount out;
        out.source = text(object, "hostPath", path);
        out.target = text(object, "containerPath", path);
        out.create_host_path = false;
        out.non_recursive = true;  // "bind"; "rbind" is the other
        std::string type = text(object, "type", path);
        if (!type.empty()) need(4, path + ".type");
        if (type == "tmpfs") {
            out.type = Mount::Type::tmpfs;
        } else if (!type.empty() && type != "bind" && type != "none") {
            refuse(path + ".type", base::quote(type) + " is not one that this engine mounts");
        }
        if (out.target.empty() || out.target[0] != '/') complain(path + ".containerPath", "must be an absolute path");
        if (out.type == Mount::Type::bind && (out.source.empty() || out.source[0] != '/')) complain(path + ".hostPath", "must be an absolute path");
        for (const std::string& option : texts(object, "options", path)) {
            if (out.type == Mount::Type::tmpfs) {
                out.tmpfs_options += (out.tmpfs_options.empty() ? "" : ",") + option;
                continue;
            }
            if (option == "ro")
                out.read_only = true;
            else if (option == "rbind")
                out.non_recursive = false;
            else if (option == "shared" || option == "slave" || option == "private" || option == "rshared" || option == "rslave" || option == "rprivate")
                out.propagation = option;
            else if (option == "nosuid" || option == "nodev" || option == "noexec" || option == "noatime" || option == "nosymfollow")
                out.bind_options.push_back(option);
            else if (option != "bind" && option != "rw" && option != "suid" && option != "dev" && option != "exec" && option != "relatime")
                refuse(path + ".options", base::quote(option) + " is not supported");
        }
        if (out.type == Mount::Type::tmpfs) out.source.clear();
        return out;
    }

    CdiHook hook(const json::object& object, const std::string& path) {
        only(object, {"hookName", "path", "args", "env", "timeout"}, path);
        CdiHook out;
        out.name = text(object, "hookName", path);
        constexpr std::string_view kNames[] = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
        if (std::find(std::begin(kNames), std::end(kNames), out.name) == std::end(kNames)) complain(path + ".hookName", base::quote(out.name) + " is not a hook's name");
        out.hook.path = text(object, "path", path);
        if (out.hook.path.empty() || out.hook.path[0] != '/') complain(path + ".path", "must be an absolute path");
        out.hook.args = texts(object, "args", path);
        if (out.hook.args.empty()) out.hook.args.push_back(out.hook.path);
        out.hook.env = variables(object, path);
        out.hook.timeout = static_cast<int>(number(object, "timeout", path, 1'000'000).value_or(0));
        if (out.name == "poststop") refuse(path, "poststop hooks are not run by this engine");
        return out;
    }

    CdiEdits edits(const json::object& parent, const std::string& path) {
        CdiEdits out;
        const json::value* value = parent.if_contains("containerEdits");
        if (value == nullptr || value->is_null()) return out;
        std::string here = path.empty() ? "containerEdits" : path + ".containerEdits";
        if (!value->is_object()) {
            complain(here, "must be an object");
            return out;
        }
        const json::object& object = value->get_object();
        only(object, {"env", "deviceNodes", "netDevices", "mounts", "hooks", "intelRdt", "additionalGids", "additionalGIDs"}, here);
        out.env = variables(object, here);
        auto place = [&](const char* key, size_t i) { return here + "." + key + "[" + std::to_string(i) + "]"; };
        size_t i = 0;
        for (const json::object* entry : objects(object, "deviceNodes", here)) out.nodes.push_back(node(*entry, place("deviceNodes", i++)));
        i = 0;
        for (const json::object* entry : objects(object, "mounts", here)) out.mounts.push_back(mount(*entry, place("mounts", i++)));
        i = 0;
        for (const json::object* entry : objects(object, "hooks", here)) out.hooks.push_back(hook(*entry, place("hooks", i++)));
        for (const char* key : {"additionalGids", "additionalGIDs"})
            for (const json::value* entry : list(object, key, here)) {
                need(7, here + "." + key);
                if (!entry->is_int64() || entry->get_int64() < 0 || entry->get_int64() >= UINT32_MAX)
                    complain(here + "." + key, "must be a list of group ids");
                else if (entry->get_int64() != 0)  // 0 is never added (SPEC.md)
                    out.groups.push_back(static_cast<uint32_t>(entry->get_int64()));
            }
        if (object.contains("intelRdt")) {
            need(7, here + ".intelRdt");
            refuse(here + ".intelRdt", "Intel RDT is not supported by this engine");
        }
        if (object.contains("netDevices")) {
            need(101, here + ".netDevices");
            refuse(here + ".netDevices", "network devices are not moved by this engine");
        }
        return out;
    }

    void annotations(const json::object& object, const std::string& path) {
        const json::value* value = object.if_contains("annotations");
        if (value == nullptr || value->is_null()) return;
        need(6, path.empty() ? "annotations" : path + ".annotations");
        if (!value->is_object()) complain(path + ".annotations", "must be an object");
    }
};

/// "0.6.0" → 6, "1.0.0" → 100; 0: not one that is known.
int cdi_version(std::string_view text) {
    if (text.starts_with("v")) text.remove_prefix(1);
    std::vector<std::string> parts = base::split(text, '.');
    if (parts.size() != 3) return 0;
    auto major = base::parse_int(parts[0]), minor = base::parse_int(parts[1]), patch = base::parse_int(parts[2]);
    if (!major || !minor || !patch || *major < 0 || *major > 1 || *minor < 0 || *minor > 99 || *patch != 0) return 0;
    int version = static_cast<int>(*major * 100 + *minor);
    return std::find(std::begin(kCdiVersions), std::end(kCdiVersions), version) != std::end(kCdiVersions) ? version : 0;
}
}  // namespace

Result<CdiSpec> read_cdi_spec(std::string_view content, const std::string& path) {
    std::string converted;
    if (path.ends_with(".yaml") || path.ends_with(".yml")) {
        converted = TRY(json_from_yaml(content));
        content = converted;
    }
    boost::system::error_code bad;
    json::parse_options options;
    options.max_depth = 64;
    json::value document = json::parse(content, bad, {}, options);
    if (bad) return base::fail(Code::invalid, "not well-formed: " + bad.message());
    if (!document.is_object()) return base::fail(Code::invalid, "not an object");
    const json::object& root = document.get_object();

    CdiReader reader;
    reader.only(root, {"cdiVersion", "kind", "annotations", "devices", "containerEdits"}, "");
    CdiSpec out;
    out.path = path;
    std::string version_text = reader.text(root, "cdiVersion", "");
    int version = cdi_version(version_text);
    if (version == 0) reader.complain("cdiVersion", version_text.empty() ? "is missing" : base::quote(version_text) + " is not a version that is known here");
    out.kind = reader.text(root, "kind", "");
    auto [vendor, kind_class] = base::cut(out.kind, '/');
    if (!cdi_word(vendor, "-_.", true) || !cdi_word(kind_class.value_or(""), "-_.", true)) reader.complain("kind", base::quote(out.kind) + " is not VENDOR/CLASS");
    if (kind_class.value_or("").find('.') != std::string::npos) reader.need(6, "kind");
    reader.annotations(root, "");
    out.edits = reader.edits(root, "");
    out.refused = std::exchange(reader.refused, std::nullopt);
    size_t i = 0;
    for (const json::object* entry : reader.objects(root, "devices", "")) {
        std::string place = "devices[" + std::to_string(i++) + "]";
        reader.only(*entry, {"name", "annotations", "containerEdits"}, place);
        CdiDevice device;
        device.name = reader.text(*entry, "name", place);
        if (!cdi_word(device.name, "-_.:", false)) reader.complain(place + ".name", base::quote(device.name) + " is not a device's name");
        if (!device.name.empty() && device.name[0] >= '0' && device.name[0] <= '9') reader.need(5, place + ".name");
        if (std::any_of(out.devices.begin(), out.devices.end(), [&](const CdiDevice& other) { return other.name == device.name; }))
            reader.complain(place + ".name", base::quote(device.name) + " occurs twice");
        reader.annotations(*entry, place);
        device.edits = reader.edits(*entry, place);
        device.refused = std::exchange(reader.refused, std::nullopt);
        out.devices.push_back(std::move(device));
    }
    if (out.devices.empty()) reader.complain("devices", "must have one at least");
    if (version != 0 && reader.needed > version)
        reader.complain(reader.needed_by, "needs a cdiVersion of " + std::to_string(reader.needed / 100) + "." + std::to_string(reader.needed % 100) + ".0 or later");
    if (reader.error) return std::move(*reader.error);
    return out;
}

}  // namespace engine::runtime
