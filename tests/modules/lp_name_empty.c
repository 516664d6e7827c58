// SPDX-License-Identifier: GPL-2.0
/*
 * lp_name_empty: the object's name is empty. The kernel refuses the patch.
 */

#define LP_OBJECT ""
#include "lp_wrong_name.h"
