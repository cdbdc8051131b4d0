#pragma once
// What to do about the usual slips: the half of a finding behind the dash.
#include <string>
#include <string_view>

#include "model/node.h"

namespace compose::model {

/// The types that an attribute takes.
struct Wanted {
    bool mapping = false, list = false, text = false, number = false, boolean = false;
};

/// For a value of a wrong type at `path`; empty when there is no good guess.
std::string type_hint(const Node& node, const Wanted& wanted, std::string_view path);

/// What an attribute is called that older files, other tools or a guess call `name`; empty when unknown.
std::string_view present_name(std::string_view name);

/// A syntax error as libyaml puts it.
struct SyntaxError {
    std::string_view problem, context;
    std::string_view text;                ///< of the whole file
    size_t line = 0, column = 0;          ///< of the problem, from 1
    size_t context_line = 0, context_column = 0;
};
std::string syntax_hint(const SyntaxError& error);

/// `a string`, `an integer`, `empty`: a type in a sentence.
std::string with_article(std::string_view type);

}  // namespace compose::model
