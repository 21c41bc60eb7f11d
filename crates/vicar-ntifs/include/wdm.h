/* wdm.h: everything stands in ntifs.h, which holds what it has of this header too. */
#include "ntifs.h"
