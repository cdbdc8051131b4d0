#include "cli/parse.h"

#include <CLI/CLI.hpp>

#include "base/text.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;

constexpr Flag kGlobals[] = {
    {"all-resources", 0, Type::boolean, "Include all resources, even those not used by services"},
    {"ansi", 0, Type::text, "Control when to print ANSI control characters (\"never\"|\"always\"|\"auto\")", "auto"},
    {"compatibility", 0, Type::boolean, "Run compose in backward compatibility mode"},
    {"debug", 'D', Type::boolean, "Say what the program does, on standard error"},
    {"dry-run", 0, Type::boolean, "Execute command in dry run mode"},
    {"env-file", 0, Type::list, "Specify an alternate environment file"},
    {"file", 'f', Type::list, "Compose configuration files"},
    {"insecure-registry", 0, Type::list, "Registry (host, host:port or network) that needs no verified certificate and may be plain HTTP"},
    {"no-ansi", 0, Type::boolean, "Old spelling of --ansi never", "", true},
    {"parallel", 0, Type::integer, "Control max parallelism, -1 for unlimited", "-1"},
    {"profile", 0, Type::list, "Specify a profile to enable"},
    {"progress", 0, Type::text, "Set type of progress output (auto, tty, plain, json, quiet)", "auto"},
    {"project-directory", 0, Type::text, "Specify an alternate working directory (default: the path of the first Compose file)"},
    {"project-name", 'p', Type::text, "Project name"},
    {"root", 0, Type::text, "Where the engine keeps its state"},
    {"verbose", 0, Type::boolean, "Show more output", "", true},
    {"version", 'v', Type::boolean, "Show the version", "", true},
    {"workdir", 0, Type::text, "Old spelling of --project-directory", "", true},
};

bool takes_value(const Flag& flag) { return flag.type != Type::boolean; }

/// `--name=` means an empty value; the library would take the next word instead, so the two are parted here.
std::vector<std::string> part_empty_values(std::span<const Flag> flags, const std::vector<std::string>& words, bool stops_at_operand) {
    auto named = [&](std::string_view name) {
        return std::find_if(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == name && takes_value(f); }) != flags.end();
    };
    auto lettered = [&](char letter) {
        return std::find_if(flags.begin(), flags.end(), [&](const Flag& f) { return f.letter == letter && takes_value(f); }) != flags.end();
    };
    std::vector<std::string> result;
    for (size_t i = 0; i < words.size(); ++i) {
        std::string_view word = words[i];
        bool operand = word.size() < 2 || word[0] != '-';
        if (word == "--" || (operand && stops_at_operand)) {
            result.insert(result.end(), words.begin() + static_cast<long>(i), words.end());
            break;
        }
        if (word.starts_with("--") && word.ends_with("=") && named(word.substr(2, word.size() - 3))) {
            result.emplace_back(word.substr(0, word.size() - 1));
            result.emplace_back();
            continue;
        }
        result.emplace_back(word);
        if (operand) continue;
        bool wants_next = word.starts_with("--") ? named(word.substr(2)) : lettered(word.back()) && std::none_of(word.begin() + 1, word.end() - 1, lettered);
        if (wants_next && i + 1 < words.size()) result.push_back(words[++i]);
    }
    return result;
}

Error unknown_flag(std::span<const Flag> flags, const std::string& word) {
    std::string name = word.substr(0, word.find('='));
    std::string text = name.starts_with("--") ? "unknown flag: " + name
                                              : "unknown shorthand flag: " + base::quote(name.substr(1, 1)) + " in " + name;
    if (name.starts_with("--")) {
        std::vector<std::string> known;
        for (const Flag& flag : flags)
            if (!flag.hidden) known.push_back("--" + std::string(flag.name));
        if (auto near = base::closest(name, known)) text += "; did you mean " + *near + "?";
    }
    return fail(Code::invalid, text);
}

struct Reading {
    std::span<const Flag> flags;
    const std::vector<std::string>& words;
    bool stops_at_operand;
};

Result<Arguments> read_words(const Reading& reading) {
    Arguments result;
    result.flags = reading.flags;
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    app.prefix_command(reading.stops_at_operand);
    std::vector<std::pair<std::string, CLI::Option*>> options;
    auto spelling = [](const Flag& flag) {
        std::string text = "--" + std::string(flag.name);
        if (flag.letter) text = std::string("-") + flag.letter + "," + text;
        return text;
    };
    auto add = [&](const Flag& flag) {
        CLI::Option* option = takes_value(flag) ? app.add_option(spelling(flag))->expected(1)->allow_extra_args(false) : app.add_flag(spelling(flag));
        option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        options.emplace_back(flag.name, option);
    };
    for (const Flag& flag : reading.flags) add(flag);
    // `-h` and --dry-run are every command's
    auto own = [&](std::string_view name) { return std::any_of(reading.flags.begin(), reading.flags.end(), [&](const Flag& f) { return f.name == name; }); };
    bool h_is_taken = std::any_of(reading.flags.begin(), reading.flags.end(), [](const Flag& f) { return f.letter == 'h'; });  // container run's --hostname
    add({"help", h_is_taken ? '\0' : 'h'});
    if (!own("dry-run")) add({"dry-run"});
    CLI::Option* positional = nullptr;
    if (!reading.stops_at_operand) positional = app.add_option("operands")->expected(-1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);

    std::vector<std::string> reversed = part_empty_values(reading.flags, reading.words, reading.stops_at_operand);
    std::reverse(reversed.begin(), reversed.end());
    try {
        app.parse(reversed);
    } catch (const CLI::ArgumentMismatch& error) {
        std::string name = error.what();
        return fail(Code::invalid, "flag needs an argument: " + name.substr(0, name.find(':')));
    } catch (const CLI::ParseError& error) {
        return fail(Code::invalid, error.what());
    }
    bool operands_only = false;
    for (const std::string& word : app.remaining()) {
        if (word == "--" && !operands_only) {
            operands_only = true;
            continue;
        }
        if (!operands_only && result.operands.empty() && word.size() > 1 && word[0] == '-') return unknown_flag(reading.flags, word);
        if (!operands_only && !reading.stops_at_operand && word.size() > 1 && word[0] == '-') return unknown_flag(reading.flags, word);
        result.operands.push_back(word);
        operands_only = operands_only || reading.stops_at_operand;
    }
    if (positional && positional->count()) {
        auto given = positional->results();
        result.operands.insert(result.operands.begin(), given.begin(), given.end());
    }
    for (auto& [name, option] : options)
        if (option->count()) result.values[name] = option->results();
    for (const Flag& flag : reading.flags)
        if (flag.type == Type::integer && result.given(flag.name) && !base::parse_int(result.text(flag.name)))
            return fail(Code::invalid, "invalid argument " + base::quote(result.text(flag.name)) + " for \"--" + std::string(flag.name) + "\" flag: not a whole number");
    return result;
}

}  // namespace

std::span<const Flag> global_flags() { return kGlobals; }

Result<Arguments> parse_globals(const std::vector<std::string>& words) { return read_words({kGlobals, words, true}); }

Result<Arguments> parse_command(const Command& command, const std::vector<std::string>& words) {
    Arguments result = TRY(read_words({command.flags, words, command.stops_at_operand}));
    if (result.on("help")) return result;
    auto count = static_cast<int>(result.operands.size());
    std::string name = "'compose " + std::string(command.name) + "' ";
    auto arguments = [](int n) { return std::to_string(n) + (n == 1 ? " argument" : " arguments"); };
    std::string usage = "\n\nUsage:  compose " + std::string(command.name) + " " + std::string(command.operands);
    if (command.most == 0 && count > 0) return fail(Code::invalid, name + "accepts no arguments" + usage);
    if (command.least == command.most && count != command.least) return fail(Code::invalid, name + "requires " + arguments(command.least) + usage);
    if (count < command.least) return fail(Code::invalid, name + "requires at least " + arguments(command.least) + usage);
    if (command.most >= 0 && count > command.most) return fail(Code::invalid, name + "accepts at most " + arguments(command.most) + usage);
    return result;
}

Error unknown_command(std::string_view name) {
    std::vector<std::string> known;
    for (const Command* command : commands())
        if (!command->hidden) known.emplace_back(command->name);
    std::string text = "unknown command: " + base::quote("compose " + std::string(name));
    if (auto near = base::closest(name, known)) text += "; did you mean " + base::quote(*near) + "?";
    return fail(Code::invalid, text + "\n\nRun 'compose --help' for the commands there are");
}

}  // namespace compose::cli
