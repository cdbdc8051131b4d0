#include "cli/help.h"

#include <map>

#include "base/text.h"
#include "cli/parse.h"

namespace compose::cli {
namespace {

std::string flag_lines(std::span<const Flag> flags) {
    constexpr const char* kTypes[] = {"", "string", "int", "stringArray"};
    std::vector<std::pair<std::string, std::string>> lines;
    size_t widest = 0;
    for (const Flag& flag : flags) {
        if (flag.hidden) continue;
        std::string left = flag.letter ? std::string("  -") + flag.letter + ", --" : "      --";
        left += flag.name;
        if (std::string type = kTypes[static_cast<int>(flag.type)]; !type.empty()) left += " " + type;
        std::string right(flag.help);
        if (!flag.fallback.empty() && flag.fallback != "false") {
            bool quoted = flag.type == Flag::Type::text;
            right += " (default " + std::string(quoted ? "\"" : "") + std::string(flag.fallback) + (quoted ? "\"" : "") + ")";
        }
        widest = std::max(widest, left.size());
        lines.emplace_back(left, right);
    }
    std::string text;
    for (auto& [left, right] : lines) text += left + std::string(widest - left.size() + 3, ' ') + right + "\n";
    return text;
}

}  // namespace

std::string help() {
    std::string text = "Usage:  compose [OPTIONS] COMMAND\n\nDefine and run multi-container applications\n\nOptions:\n" + flag_lines(global_flags()) + "\nCommands:\n";
    // A group (`compose image ls`) is one line with its members' names.
    std::map<std::string, std::vector<std::string>> groups;
    size_t widest = 0;
    for (const Command* command : commands()) {
        if (command->hidden) continue;
        auto [group, member] = base::cut(command->name, ' ');
        if (member) groups[group].push_back(*member);
        widest = std::max(widest, group.size());
    }
    auto line = [&](std::string_view name, std::string_view about) {
        text += "  " + std::string(name) + std::string(widest - name.size() + 2, ' ') + std::string(about) + "\n";
    };
    for (const Command* command : commands())
        if (!command->hidden && command->name.find(' ') == std::string_view::npos) line(command->name, command->summary);
    text += "\nCommands of the engine, without a Compose file:\n";
    for (const auto& [group, members] : groups) line(group, base::join(members, ", "));
    return text + "\nRun 'compose COMMAND --help' for more information on a command.\n";
}

std::string help(const Command& command) {
    std::string text = "Usage:  compose " + std::string(command.name) + " " + std::string(command.operands) + "\n\n" + std::string(command.summary) + "\n";
    if (!command.alias.empty()) text += "\nAliases:\n  compose " + std::string(command.name) + ", compose " + std::string(command.alias) + "\n";
    std::string flags = flag_lines(command.flags);
    return flags.empty() ? text : text + "\nOptions:\n" + flags;
}

}  // namespace compose::cli
