#include <unistd.h>

#include <boost/json.hpp>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kLsFlags[] = {
    {"all", 'a', Type::boolean, "Show all stopped Compose projects"},
    {"filter", 0, Type::list, "Filter output based on conditions provided"},
    {"format", 0, Type::text, "Format output: 'table', 'json' or a Go template", "table"},
    {"quiet", 'q', Type::boolean, "Only display project names"},
};

struct Found {
    std::map<std::string, int> states;
    std::string files;
};

Result<int> ls_command(Context& context, const Arguments& arguments) {
    std::vector<std::string> patterns;
    for (const std::string& filter : arguments.list("filter")) {
        auto [key, value] = base::cut(filter, '=');
        if (key != "name" || !value) return fail(Code::invalid, "invalid filter " + base::quote(filter) + ": there is name=PATTERN");
        patterns.push_back(*value);
    }
    auto* engine = TRY(context.engine_without_project());
    std::map<std::string, Found> projects;
    for (const auto& container : TRY(engine->containers({{{plan::label::kProject, ""}}, {}}))) {
        if (!arguments.on("all") && !plan::is_running(container)) continue;
        Found& found = projects[plan::label_of(container.spec.labels, plan::label::kProject)];
        ++found.states[engine::to_text(container.state.status)];
        if (std::string files = plan::label_of(container.spec.labels, plan::label::kConfigFiles); !files.empty()) found.files = files;
    }
    Output out(STDOUT_FILENO);
    Listing listing;
    listing.json_array = true;
    listing.heading = {"NAME", "STATUS", "CONFIG FILES"};
    listing.cells = [](const Row& row) { return std::vector<std::string>{text_of(row, "Name"), text_of(row, "Status"), text_of(row, "ConfigFiles")}; };
    for (auto& [name, found] : projects) {
        if (!patterns.empty() && std::none_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return name.find(p) != std::string::npos; })) continue;
        if (arguments.on("quiet")) {
            out << name + "\n";
            continue;
        }
        std::vector<std::string> states;
        for (auto& [state, count] : found.states) states.push_back(state + "(" + std::to_string(count) + ")");
        listing.rows.push_back(Row{{"Name", name}, {"Status", base::join(states, ", ")}, {"ConfigFiles", found.files}});
    }
    if (!arguments.on("quiet")) out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kLs{"ls", "[OPTIONS]", "List running compose projects", kLsFlags, ls_command, 0, 0};

}  // namespace compose::cli
