// SPDX-License-Identifier: GPL-2.0
/*
 * lp_name_dash: a dash instead of the underscore in the object's name. The
 * kernel accepts the patch, and it changes nothing.
 */

#define LP_OBJECT "lpwatch-target"
#include "lp_wrong_name.h"
