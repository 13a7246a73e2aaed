// The distributions take long to compile: in a unit of their own they are compiled once.
#include "core/families.h"

namespace partialpool {

std::unique_ptr<Family> make_family(const std::string& name, const std::string& link,
                                    const ResponseRows& rows, bool zero_inflated) {
  return family_named(name, link, rows, zero_inflated);
}

}  // namespace partialpool
