#pragma once
// libarchive converts names between the archive's and the thread's character set; with UTF-8 on both sides names pass as
// they are, whatever locale the user has (or none, in a container or a cron job).
#include <locale.h>

namespace engine::image {

class Utf8Locale {
public:
    Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
        if (locale_) before_ = ::uselocale(locale_);
    }
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;
    ~Utf8Locale() {
        if (!locale_) return;
        ::uselocale(before_);
        ::freelocale(locale_);
    }

private:
    locale_t locale_;
    locale_t before_ = nullptr;
};

}  // namespace engine::image
