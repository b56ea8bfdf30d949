/* SPDX-License-Identifier: BSD-2-Clause */
/* A shared object that only has to load. It stands where libgothread.so or a library with a telling
 * name is looked for. */

int fixture_object(void);

int fixture_object(void)
{
    return 1;
}
