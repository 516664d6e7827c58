// SPDX-License-Identifier: GPL-2.0
/*
 * lp_name_ko: the object's name is that of the module's file. The kernel
 * accepts the patch, and it changes nothing.
 */

#define LP_OBJECT "lpwatch_target.ko"
#include "lp_wrong_name.h"
