// SPDX-License-Identifier: GPL-2.0
/*
 * lp_name_path: a path as the object's name. The kernel accepts the
 * patch, and it changes nothing.
 */

#define LP_OBJECT "kernel/lib/lpwatch_target"
#include "lp_wrong_name.h"
