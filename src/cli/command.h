#pragma once
// What a command is, as data: its flags, its operands, and the function that carries it out. Each file of commands/ declares
// one; parse.cpp is the only place that knows the library which reads the command line.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace compose::cli {

using base::Code;
using base::Error;
using base::fail;
using base::Result;
using base::Status;

class Context;

struct Flag {
    enum class Type : uint8_t {
        boolean,  ///< --flag, --flag=false
        text,
        integer,
        list,  ///< may be given several times
    };
    std::string_view name;  ///< without dashes
    char letter = 0;        ///< the short form, 0: none
    Type type = Type::boolean;
    std::string_view help = {};
    std::string_view fallback = {};  ///< the default, as shown by --help
    bool hidden = false;             ///< accepted, but not shown by --help
};

/// What was given on the command line to one command.
class Arguments {
public:
    /// The boolean flag's value, or its default.
    bool on(std::string_view flag) const;
    /// The last value given, or the default.
    std::string text(std::string_view flag) const;
    /// All values in order.
    std::vector<std::string> list(std::string_view flag) const;
    /// Whether the user wrote it.
    bool given(std::string_view flag) const;
    /// A checked whole number, or the default ("" counts as 0).
    int64_t integer(std::string_view flag) const;

    std::vector<std::string> operands;
    std::map<std::string, std::vector<std::string>, std::less<>> values;
    std::span<const Flag> flags;

private:
    const Flag* find(std::string_view flag) const;
};

struct Command {
    std::string_view name;      ///< "up"; a group's member has its group in front: "image ls"
    std::string_view operands;  ///< "[OPTIONS] [SERVICE...]": the usage line
    std::string_view summary;
    std::span<const Flag> flags;
    /// The exit status, or an error that main prints once.
    Result<int> (*run)(Context&, const Arguments&) = nullptr;
    int least = 0;                  ///< operands wanted
    int most = -1;                  ///< -1: any number
    bool stops_at_operand = false;  ///< exec, run: what follows the first operand belongs to it
    bool hidden = false;
    std::string_view alias = {};
    bool raw = false;  ///< all words behind the name are its own to read, --help too
    int failure = 1;  ///< the exit status of an error of ours, of bad usage too
};

/// Every command, in the order of --help.
std::span<const Command* const> commands();
/// By name or alias; nullptr when there is none.
const Command* find_command(std::string_view name);

}  // namespace compose::cli
