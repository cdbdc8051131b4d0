// logging: driver and options → LogSettings. Names and texts as Docker's drivers check them.
#include <cctype>
#include <optional>
#include <regex>

#include "base/text.h"
#include "log/log_writer.h"

namespace engine::log {
namespace {

using base::Code;
using base::fail;

bool known(const std::string& driver, const std::string& option) {
    static const char* const common[] = {"max-size", "max-file", "compress", "mode", "max-buffer-size"};
    static const char* const attributes[] = {"labels", "labels-regex", "env", "env-regex", "tag"};
    static const char* const syslog_only[] = {"syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert", "syslog-tls-cert",
                                              "syslog-tls-key", "syslog-tls-skip-verify"};
    const bool remote = driver == "syslog" || driver == "journald";
    for (const char* name : common)
        if (option == name) return !remote || option == "mode" || option == "max-buffer-size";
    if (remote && (option == "cache-disabled" || option == "cache-max-size" || option == "cache-max-file" || option == "cache-compress")) return true;
    if (driver != "local")
        for (const char* name : attributes)
            if (option == name) return true;
    if (driver == "syslog")
        for (const char* name : syslog_only)
            if (option == name) return true;
    return false;
}

std::optional<int> facility_of(const std::string& name) {
    static const char* const names[] = {"kern", "user", "mail", "daemon", "auth", "syslog", "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
                                        "",     "",     "",     "",       "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"};
    if (auto number = base::parse_int(name); number && *number >= 0 && *number <= 23) return static_cast<int>(*number);
    for (int i = 0; i < 24; i++)
        if (!name.empty() && name == names[i]) return i;
    return std::nullopt;
}

/// journald takes upper-case letters, digits and underscores, none of these in front.
std::string journal_field(const std::string& name) {
    std::string field;
    for (char c : name) field += std::isalnum(static_cast<unsigned char>(c)) ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : '_';
    while (!field.empty() && (field[0] == '_' || std::isdigit(static_cast<unsigned char>(field[0])))) field.erase(0, 1);
    return field.substr(0, 64);
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

namespace {

constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

base::Status parse_remote(LogSettings& settings, const LogConfig& config, const ContainerInfo& container) {
    auto option = [&](const char* name) {
        auto found = config.options.find(name);
        return found == config.options.end() ? std::string() : found->second;
    };
    // What is kept on the disk is for `logs` only, as Docker's cache beside such a driver.
    settings.max_size = 20u << 20;
    const std::string tag = option("tag");
    settings.tag = tag.empty() ? short_id(container.id) : expand_tag(tag, container);
    // Its own words end up in a line of text: no new one may begin in it.
    for (char& c : settings.tag)
        if (static_cast<unsigned char>(c) <= ' ' || c == 127) c = '_';
    if (settings.driver == LogSettings::Driver::journald) {
        settings.address = kJournalSocket;
        settings.fields = {{"CONTAINER_ID", short_id(container.id)}, {"CONTAINER_ID_FULL", container.id}, {"CONTAINER_NAME", container.spec.name},
                           {"CONTAINER_TAG", settings.tag},          {"IMAGE_NAME", container.spec.image}, {"SYSLOG_IDENTIFIER", settings.tag}};
        for (const auto& [name, value] : settings.attributes)
            if (auto field = journal_field(name); name != "tag" && !field.empty()) settings.fields.emplace(field, value);
        return {};
    }
    settings.address = option("syslog-address");
    const size_t scheme_end = settings.address.find("://");
    const std::string scheme = settings.address.substr(0, scheme_end);
    if (!settings.address.empty()) {
        if (scheme_end == std::string::npos) return fail(Code::invalid, "syslog-address should be in form proto://address, got " + settings.address);
        if (scheme == "tcp+tls") return fail(Code::unsupported, "syslog-address " + base::quote(settings.address) + ": TLS is not there, use tcp, udp or unix");
        if (scheme != "unix" && scheme != "unixgram" && scheme != "udp" && scheme != "tcp") return fail(Code::invalid, "unsupported scheme: '" + scheme + "'");
        if (settings.address.size() == scheme_end + 3) return fail(Code::invalid, "syslog-address " + base::quote(settings.address) + " names no place");
    }
    for (const auto& [name, value] : config.options)
        if (name.starts_with("syslog-tls-")) return fail(Code::unsupported, "log option " + name + ": TLS is not there");
    if (auto facility = option("syslog-facility"); !facility.empty()) {
        auto number = facility_of(facility);
        if (!number) return fail(Code::invalid, "invalid syslog facility " + base::quote(facility));
        settings.facility = *number;
    }
    settings.format = option("syslog-format");
    if (!settings.format.empty() && settings.format != "rfc3164" && settings.format != "rfc5424" && settings.format != "rfc5424micro")
        return fail(Code::invalid, "Invalid syslog format " + base::quote(settings.format));
    return {};
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
    settings.compress = driver != "json-file";
    if (driver == "json-file") {
        settings.driver = Driver::json_file;
    } else if (driver == "journald" || driver == "syslog") {
        settings.driver = driver == "journald" ? Driver::journald : Driver::syslog;
    } else if (driver == "local") {
        settings.max_size = 20u << 20;
    } else if (!driver.empty()) {
        return fail(Code::unsupported, "logging driver " + base::quote(driver) + " is not supported by this engine; use local, json-file, journald, syslog or none");
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
        } else if (option == "compress") {
            if (value != "true" && value != "false") return fail(Code::invalid, "log option compress: invalid value " + base::quote(value));
            settings.compress = value == "true";
        }
    }
    // json-file with a size and no number keeps one file, as Docker's.
    if (settings.driver == Driver::json_file && size_given && !config.options.contains("max-file")) settings.max_files = 1;
    settings.attributes = TRY(collect(config, container));
    if (settings.ships()) TRY_VOID(parse_remote(settings, config, container));
    return settings;
}

}  // namespace engine::log
