#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/commands/commands.h"
#include "cli/version.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kVersionFlags[] = {
    {"format", 'f', Type::text, "Format the output. Values: [pretty | json]", "pretty"},
    {"short", 0, Type::boolean, "Shows only Compose's version number"},
};

Result<int> version_command(Context&, const Arguments& arguments) {
    std::string version = kProgramVersion, format = arguments.text("format"), text = "compose version " + version + "\n";
    if (arguments.on("short"))
        text = version + "\n";
    else if (format == "json")
        text = "{\"version\":\"" + version + "\"}\n";
    else if (format != "pretty" && !format.empty())
        return fail(Code::invalid, "unsupported format " + base::quote(format) + ": use pretty or json");
    TRY_VOID(base::write_all(STDOUT_FILENO, text));
    return 0;
}

}  // namespace

const Command kVersion{"version", "[OPTIONS]", "Show the Compose version information", kVersionFlags, version_command, 0, 0};

}  // namespace compose::cli
