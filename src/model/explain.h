#pragma once
// `config --explain`: the value of an attribute or a variable, and everything that had a say in it, in order.
#include <string>

#include "base/error.h"
#include "model/load.h"

namespace compose::model {

/// `what` is a path (`services.web.image`, `web.image` for short) or the name of a variable. `loaded` must come of a load
/// with `explain` set.
base::Result<std::string> explain(const Loaded& loaded, const std::string& what);

}  // namespace compose::model
