#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/parse.h"

namespace compose::cli {
namespace {

/// Commands that take names of services.
bool takes_services(const Command& command) { return command.operands.find("SERVICE") != std::string_view::npos; }

std::string words_of(std::span<const Flag> flags) {
    std::string words;
    for (const Flag& flag : flags)
        if (!flag.hidden) words += (words.empty() ? "--" : " --") + std::string(flag.name);
    return words;
}

std::string names() {
    std::string text;
    for (const Command* command : commands())
        if (!command->hidden && command->name.find(' ') == std::string_view::npos) text += (text.empty() ? "" : " ") + std::string(command->name);
    return text;
}

std::string bash() {
    std::string text = R"(# compose completion for bash:  source <(compose completion bash)
_compose() {
    local current=${COMP_WORDS[COMP_CWORD]} command= i words services=
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -f|--file|-p|--project-name|--env-file|--profile|--project-directory|--progress|--ansi|--parallel|--root) ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case $command in
        '') words=")" + names() + " " + words_of(global_flags()) + "\" ;;\n";
    for (const Command* command : commands()) {
        if (command->hidden || command->name.find(' ') != std::string_view::npos) continue;
        text += "        " + std::string(command->name) + ") words=\"" + words_of(command->flags) + "\"";
        text += takes_services(*command) ? "; services=1 ;;\n" : " ;;\n";
    }
    return text + R"(    esac
    if [[ $services && $current != -* ]]; then words=$(compose "${COMP_WORDS[@]:1:i-1}" config --services 2>/dev/null); fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _compose compose
)";
}

std::string zsh() {
    return "#compdef compose\n# compose completion for zsh:  source <(compose completion zsh)\nautoload -U +X bashcompinit && bashcompinit\n" + bash();
}

std::string escaped(std::string_view text) {
    std::string result;
    for (char c : text) {
        if (c == '\'' || c == '\\') result += '\\';
        result += c;
    }
    return result;
}

std::string fish() {
    std::string text = "# compose completion for fish:  compose completion fish | source\n";
    auto flags = [&](std::span<const Flag> list, const std::string& condition) {
        for (const Flag& flag : list) {
            if (flag.hidden) continue;
            text += "complete -c compose -n '" + condition + "' -l " + std::string(flag.name);
            if (flag.letter) text += std::string(" -s ") + flag.letter;
            if (flag.type != Flag::Type::boolean) text += " -r";
            text += " -d '" + escaped(flag.help) + "'\n";
        }
    };
    flags(global_flags(), "__fish_use_subcommand");
    for (const Command* command : commands()) {
        if (command->hidden || command->name.find(' ') != std::string_view::npos) continue;
        std::string name(command->name), seen = "__fish_seen_subcommand_from " + name;
        text += "complete -c compose -f -n __fish_use_subcommand -a " + name + " -d '" + escaped(command->summary) + "'\n";
        flags(command->flags, seen);
        if (takes_services(*command)) text += "complete -c compose -f -n '" + seen + "' -a '(compose config --services 2>/dev/null)'\n";
    }
    return text;
}

Result<int> completion_command(Context&, const Arguments& arguments) {
    const std::string& shell = arguments.operands[0];
    if (shell != "bash" && shell != "zsh" && shell != "fish") return fail(Code::invalid, "no completion for " + base::quote(shell) + ": there are bash, zsh and fish");
    TRY_VOID(base::write_all(STDOUT_FILENO, shell == "bash" ? bash() : shell == "zsh" ? zsh() : fish()));
    return 0;
}

}  // namespace

const Command kCompletion{"completion", "bash|zsh|fish", "Print a completion script for a shell", {}, completion_command, 1, 1};

}  // namespace compose::cli
