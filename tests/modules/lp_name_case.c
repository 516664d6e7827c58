// SPDX-License-Identifier: GPL-2.0
/*
 * lp_name_case: upper case in the object's name. The kernel accepts the patch,
 * and it changes nothing.
 */

#define LP_OBJECT "lpwatch_TARGET"
#include "lp_wrong_name.h"
