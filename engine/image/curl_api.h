#pragma once
// libcurl, loaded when a registry is first asked: its TLS, LDAP, SSH and Kerberos libraries would cost every start of the
// program several milliseconds.
#include <curl/curl.h>

#include "base/error.h"

namespace engine::image {

struct CurlApi {
    decltype(&::curl_global_init) global_init;
    decltype(&::curl_easy_init) easy_init;
    decltype(&::curl_easy_setopt) setopt;
    decltype(&::curl_easy_perform) perform;
    decltype(&::curl_easy_cleanup) cleanup;
    decltype(&::curl_easy_reset) reset;
    decltype(&::curl_easy_getinfo) getinfo;
    decltype(&::curl_easy_strerror) strerror;
    decltype(&::curl_slist_append) slist_append;
    decltype(&::curl_slist_free_all) slist_free_all;
    decltype(&::curl_url) url;
    decltype(&::curl_url_cleanup) url_cleanup;
    decltype(&::curl_url_set) url_set;
    decltype(&::curl_url_get) url_get;
    decltype(&::curl_free) free;
    decltype(&::curl_getdate) getdate;

    /// The one table of the process; unsupported when the library is not installed.
    static base::Result<const CurlApi*> load();
};

}  // namespace engine::image

// curl/curl.h wraps these in type-checking macros that name the functions themselves.
#undef curl_easy_setopt
#undef curl_easy_getinfo
