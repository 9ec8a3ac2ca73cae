// SPDX-License-Identifier: BSD-2-Clause
// version.c - headers and library are of one version, in all its forms.
#include "support.h"

int main(void)
{
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", OA_VERSION_MAJOR, OA_VERSION_MINOR, OA_VERSION_PATCH);
    CHECK(strcmp(OA_VERSION, text) == 0);
    CHECK(strcmp(oa_version(), OA_VERSION) == 0);
    return 0;
}
