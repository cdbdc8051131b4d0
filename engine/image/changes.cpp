// Dockerfile instructions that change a configuration: `commit --change`, `import --change`.
#include <algorithm>

#include "base/text.h"
#include "image/image_store.h"
#include "image/json_read.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;

/// Words as in a Dockerfile: quotes and backslashes taken off.
std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    char quote = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (quote == 0 && (c == ' ' || c == '\t')) {
            if (in_word) words.push_back(std::exchange(word, {}));
            in_word = false;
            continue;
        }
        in_word = true;
        if (c == '\\' && quote != '\'' && i + 1 < text.size())
            word += text[++i];
        else if (quote == 0 && (c == '"' || c == '\''))
            quote = c;
        else if (c == quote)
            quote = 0;
        else
            word += c;
    }
    if (in_word) words.push_back(word);
    return words;
}

/// `["a", "b"]` as it is; anything else is a line for the shell.
std::vector<std::string> command_of(const std::string& text, const ImageConfig& config) {
    std::string trimmed = base::trim(text);
    if (trimmed.starts_with('[')) {
        auto value = parse_json(trimmed, 1u << 20, "the command");
        if (value && value->is_array() && std::all_of(value->get_array().begin(), value->get_array().end(), [](const auto& item) { return item.is_string(); })) {
            std::vector<std::string> argv;
            for (const auto& item : value->get_array()) argv.emplace_back(item.get_string());
            return argv;
        }
    }
    std::vector<std::string> argv = config.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : config.shell;
    argv.push_back(trimmed);
    return argv;
}

/// `K=V K2="V 2"`, or the old `K V with spaces`.
Result<std::vector<std::pair<std::string, std::string>>> pairs_of(const std::string& text, const std::string& verb) {
    std::vector<std::string> words = words_of(text);
    std::vector<std::pair<std::string, std::string>> pairs;
    if (words.empty()) return fail(Code::invalid, verb + " needs a name and a value");
    if (words[0].find('=') == std::string::npos) {
        auto [name, value] = base::cut(base::trim(text), ' ');
        if (!value) return fail(Code::invalid, verb + " " + base::quote(name) + " has no value");
        pairs.emplace_back(name, base::trim(*value));
        return pairs;
    }
    for (const std::string& word : words) {
        auto [name, value] = base::cut(word, '=');
        if (!value || name.empty()) return fail(Code::invalid, verb + " " + base::quote(word) + " is not NAME=VALUE");
        pairs.emplace_back(name, *value);
    }
    return pairs;
}

void set_env(std::vector<std::string>& env, const std::string& name, const std::string& value) {
    for (std::string& line : env)
        if (line.starts_with(name + "=")) {
            line = name + "=" + value;
            return;
        }
    env.push_back(name + "=" + value);
}

Status set_health(ImageConfig& config, const std::string& text) {
    HealthCheck check;
    std::string rest = base::trim(text);
    if (rest == "NONE") {
        check.test = {"NONE"};
        config.health_check = check;
        return {};
    }
    while (rest.starts_with("--")) {
        size_t end = rest.find(' ');
        auto [name, value] = base::cut(rest.substr(2, end - 2), '=');
        rest = end == std::string::npos ? "" : base::trim(rest.substr(end));
        auto duration = base::parse_duration(value.value_or(""));
        auto number = base::parse_int(value.value_or(""));
        if (name == "retries" && number) check.retries = static_cast<int>(*number);
        else if (name == "interval" && duration) check.interval = *duration;
        else if (name == "timeout" && duration) check.timeout = *duration;
        else if (name == "start-period" && duration) check.start_period = *duration;
        else if (name == "start-interval" && duration) check.start_interval = *duration;
        else return fail(Code::invalid, "HEALTHCHECK: " + base::quote("--" + name + "=" + value.value_or("")) + " is not known or malformed");
    }
    if (!rest.starts_with("CMD")) return fail(Code::invalid, "HEALTHCHECK needs CMD or NONE");
    std::string command = base::trim(rest.substr(3));
    if (command.starts_with('[')) {
        check.test = command_of(command, config);
        check.test.insert(check.test.begin(), "CMD");
    } else {
        check.test = {"CMD-SHELL", command};
    }
    config.health_check = check;
    return {};
}

Status apply(ImageConfig& config, const std::string& line) {
    auto [word, rest_text] = base::cut(base::trim(line), ' ');
    std::string verb = word, rest = base::trim(rest_text.value_or(""));
    std::transform(verb.begin(), verb.end(), verb.begin(), [](unsigned char c) { return static_cast<char>(toupper(c)); });
    if (rest.empty() && verb != "CMD" && verb != "ENTRYPOINT") return fail(Code::invalid, verb + " needs a value");
    if (verb == "CMD") {
        config.cmd = command_of(rest, config);
    } else if (verb == "ENTRYPOINT") {
        config.entrypoint = command_of(rest, config);
    } else if (verb == "ENV") {
        for (const auto& [name, value] : TRY(pairs_of(rest, verb))) set_env(config.env, name, value);
    } else if (verb == "LABEL") {
        for (const auto& [name, value] : TRY(pairs_of(rest, verb))) config.labels[name] = value;
    } else if (verb == "EXPOSE") {
        for (std::string port : words_of(rest)) {
            if (port.find('/') == std::string::npos) port += "/tcp";
            if (std::find(config.exposed_ports.begin(), config.exposed_ports.end(), port) == config.exposed_ports.end()) config.exposed_ports.push_back(port);
        }
    } else if (verb == "VOLUME") {
        std::vector<std::string> paths = rest.starts_with('[') ? command_of(rest, config) : words_of(rest);
        for (const std::string& path : paths)
            if (std::find(config.volumes.begin(), config.volumes.end(), path) == config.volumes.end()) config.volumes.push_back(path);
    } else if (verb == "WORKDIR") {
        config.working_dir = rest.starts_with('/') || config.working_dir.empty() ? rest : config.working_dir + "/" + rest;
        if (!config.working_dir.starts_with('/')) config.working_dir = "/" + config.working_dir;
    } else if (verb == "USER") {
        config.user = rest;
    } else if (verb == "STOPSIGNAL") {
        config.stop_signal = rest;
    } else if (verb == "ONBUILD") {
        config.on_build.push_back(rest);
    } else if (verb == "SHELL") {
        config.shell = command_of(rest, config);
    } else if (verb == "HEALTHCHECK") {
        return set_health(config, rest);
    } else {
        return fail(Code::invalid, base::quote(word) + " is not a valid change command");
    }
    return {};
}

}  // namespace

Status apply_changes(ImageConfig& config, const std::vector<std::string>& changes) {
    for (const std::string& line : changes) TRY_VOID(apply(config, line).context("change " + base::quote(line)));
    return {};
}

}  // namespace engine::image
