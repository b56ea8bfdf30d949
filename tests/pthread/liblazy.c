/* SPDX-License-Identifier: BSD-2-Clause */
/* A library for lazy_bind.c: 256 functions, which one calls through the procedure linkage table,
 * where each is bound at its first call. */
/* clang-format off */
#define F4(n)  F(n##0) F(n##1) F(n##2) F(n##3)
#define F16(n) F4(n##0) F4(n##1) F4(n##2) F4(n##3)
#define F64(n) F16(n##0) F16(n##1) F16(n##2) F16(n##3)
#define ALL    F64(0) F64(1) F64(2) F64(3)

#define F(n) long lazy_##n(long x);
ALL
#undef F
#define F(n) long lazy_##n(long x) { return x + 1; }
ALL
#undef F
    /* clang-format on */

    long
    lazy_all(long x);

long lazy_all(long x)
{
#define F(n) x = lazy_##n(x);
    ALL
#undef F
        return x;
}
