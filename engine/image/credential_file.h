#pragma once
// Where `login` keeps a credential it has checked.
#include <string>

#include "base/error.h"
#include "image/credentials.h"

namespace engine::image {

/// In the helper that config.json names, else in config.json itself (mode 0600, other fields untouched).
base::Status store_credential(const std::string& domain, const Credential& credential);

}  // namespace engine::image
