// SPDX-License-Identifier: GPL-2.0
/*
 * ksplice_abi: abi_ksplice with its one update, "abi", in the module's own
 * folder of sysfs. In its commands that update is called "ksplice".
 */

#define ABI_KSPLICE_OWN
#include "abi_ksplice.c"
