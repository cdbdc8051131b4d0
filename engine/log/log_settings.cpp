// logging: driver and options → LogSettings. Names and texts as Docker's drivers check them.
#include <regex>

#include "base/text.h"
#include "log/log_writer.h"

namespace engine::log {
namespace {

using base::Code;
using base::fail;

bool known(const std::string& driver, const std::string& option) {
    static const char* const common[] = {"max-size", "max-file", "compress", "mode", "max-buffer-size"};
    static const char* const json_only[] = {"labels", "labels-regex", "env", "env-regex", "tag"};
    for (const char* name : common)
        if (option == name) return true;
    if (driver != "local")
        for (const char* name : json_only)
            if (option == name) return true;
    return false;
}

std::string short_id(std::string id) {
    auto colon = id.find(':');
    if (colon != std::string::npos) id.erase(0, colon + 1);
    return id.substr(0, 12);
}

/// Docker's log tag template: the fields that have a meaning here.
std::string expand_tag(std::string tag, const ContainerInfo& container) {
    const std::pair<const char*, std::string> fields[] = {
        {"Name", container.spec.name},         {"ID", short_id(container.id)},
        {"FullID", container.id},              {"ImageName", container.spec.image},
        {"ImageID", short_id(container.spec.image_id)}, {"ImageFullID", container.spec.image_id},
        {"DaemonName", "compose"},
    };
    for (const auto& [name, value] : fields) {
        for (const std::string& form : {std::string("{{.") + name + "}}", std::string("{{ .") + name + " }}"}) {
            for (size_t at = tag.find(form); at != std::string::npos; at = tag.find(form, at + value.size())) tag.replace(at, form.size(), value);
        }
    }
    return tag;
}

base::Status add_matching(Labels& into, const std::string& pattern, const Labels& from) {
    try {
        std::regex expression(pattern);
        for (const auto& [name, value] : from)
            if (std::regex_search(name, expression)) into[name] = value;
    } catch (const std::regex_error& error) {
        return fail(Code::invalid, "log option: regular expression " + base::quote(pattern) + ": " + error.what());
    }
    return {};
}

base::Result<Labels> collect(const LogConfig& config, const ContainerInfo& container) {
    Labels attributes, environment;
    for (const auto& entry : container.spec.env) {
        auto [name, value] = base::cut(entry, '=');
        if (value) environment[name] = *value;
    }
    for (const auto& [option, value] : config.options) {
        if (option == "labels" || option == "env") {
            const Labels& from = option == "labels" ? container.spec.labels : environment;
            for (const auto& name : base::split(value, ','))
                if (auto found = from.find(base::trim(name)); found != from.end()) attributes[found->first] = found->second;
        } else if (option == "labels-regex") {
            TRY_VOID(add_matching(attributes, value, container.spec.labels));
        } else if (option == "env-regex") {
            TRY_VOID(add_matching(attributes, value, environment));
        } else if (option == "tag" && !value.empty()) {
            attributes["tag"] = expand_tag(value, container);
        }
    }
    return attributes;
}

}  // namespace

base::Result<LogSettings> LogSettings::parse(const LogConfig& config, const ContainerInfo& container) {
    LogSettings settings;
    const std::string& driver = config.driver;
    if (driver == "none") {
        // What an attached terminal reads still passes through files; they stay small.
        settings.driver = Driver::none;
        settings.max_size = 1u << 20;
        settings.max_files = 2;
        return settings;
    }
    if (driver == "json-file") {
        settings.driver = Driver::json_file;
    } else if (driver == "local") {
        settings.max_size = 20u << 20;
    } else if (!driver.empty()) {
        return fail(Code::unsupported, "logging driver " + base::quote(driver) + " is not supported by this engine; use local, json-file or none");
    }
    const std::string name = driver.empty() ? "local" : driver;
    bool size_given = false;
    for (const auto& [option, value] : config.options) {
        if (!known(name == "local" && driver.empty() ? "json-file" : name, option))
            return fail(Code::invalid, "unknown log opt '" + option + "' for " + name + " log driver");
        if (option == "max-size") {
            auto bytes = base::parse_bytes(value);
            if (value == "-1") bytes = 0;
            if (!bytes || *bytes < 0) return fail(Code::invalid, "log option max-size: invalid size " + base::quote(value));
            settings.max_size = static_cast<uint64_t>(*bytes);
            size_given = true;
        } else if (option == "max-file") {
            auto count = base::parse_int(value);
            if (!count || *count < 1 || *count > 100000) return fail(Code::invalid, "max-file cannot be less than 1: " + base::quote(value));
            settings.max_files = static_cast<int>(*count);
        } else if (option == "mode") {
            if (value != "blocking" && value != "non-blocking")
                return fail(Code::invalid, "logger: logging mode not supported: " + value);
            settings.non_blocking = value == "non-blocking";
        } else if (option == "max-buffer-size" && !base::parse_bytes(value)) {
            return fail(Code::invalid, "log option max-buffer-size: invalid size " + base::quote(value));
        } else if (option == "compress" && value != "true" && value != "false") {
            return fail(Code::invalid, "log option compress: invalid value " + base::quote(value));
        }
    }
    // json-file with a size and no number keeps one file, as Docker's.
    if (settings.driver == Driver::json_file && size_given && !config.options.contains("max-file")) settings.max_files = 1;
    settings.attributes = TRY(collect(config, container));
    return settings;
}

}  // namespace engine::log
