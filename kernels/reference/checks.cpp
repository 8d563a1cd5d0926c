#include "kernels/reference/checks.h"

#include "contract/check_args.h"

namespace graft::reference {

bool checked(Primitive primitive, const void* args) {
  for (int32_t i = 0; i < info_of(primitive).roles.total(); ++i)
    if (!well_formed(views_of(args)[i])) return false;
  return check_memory(primitive, args);
}

}  // namespace graft::reference
