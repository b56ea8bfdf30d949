/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The personality routine of our own frames with __attribute__((cleanup)): what gcc calls
 * __gcc_personality_v0.  Ours, so that the object needs no libgcc_s at load time; its helpers are
 * taken from libgcc_s when somebody unwinds, and then it is loaded.   Source: the Itanium C++ ABI,
 * exception handling tables; LSB, .gcc_except_table.
 */
#include <unwind.h>

#include "interpose/thread.h"

#define PE_OMIT 0xff

static uintptr_t uleb(const unsigned char **p)
{
    uintptr_t v = 0;
    int shift = 0;
    unsigned char b;
    do {
        b = *(*p)++;
        v |= (uintptr_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    return v;
}

/* Call-site tables of gcc for our targets: uleb128, udata4 or sdata4. */
static uintptr_t encoded(const unsigned char **p, unsigned char enc)
{
    if ((enc & 0x0f) == 0x01)
        return uleb(p);
    uint32_t v;
    gt_memcpy(&v, *p, sizeof(v));
    *p += sizeof(v);
    return (enc & 0x0f) == 0x0b ? (uintptr_t)(intptr_t)(int32_t)v : v;
}

__attribute__((visibility("hidden"), used)) _Unwind_Reason_Code
__gcc_personality_v0(int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
                     struct _Unwind_Exception *exc, struct _Unwind_Context *ctx);

_Unwind_Reason_Code __gcc_personality_v0(int version, _Unwind_Action actions,
                                         _Unwind_Exception_Class cls, struct _Unwind_Exception *exc,
                                         struct _Unwind_Context *ctx)
{
    __typeof__(_Unwind_GetLanguageSpecificData) *lsda =
        gt_libgcc("_Unwind_GetLanguageSpecificData");
    __typeof__(_Unwind_GetRegionStart) *start = gt_libgcc("_Unwind_GetRegionStart");
    __typeof__(_Unwind_GetIP) *get_ip = gt_libgcc("_Unwind_GetIP");
    __typeof__(_Unwind_SetIP) *set_ip = gt_libgcc("_Unwind_SetIP");
    __typeof__(_Unwind_SetGR) *set_gr = gt_libgcc("_Unwind_SetGR");
    (void)version, (void)cls;
    const unsigned char *p = lsda ? (const unsigned char *)lsda(ctx) : NULL;
    if (!p || !(actions & _UA_CLEANUP_PHASE))
        return _URC_CONTINUE_UNWIND;
    uintptr_t base = start(ctx), ip = get_ip(ctx) - 1 - base;
    if (*p++ != PE_OMIT)
        return _URC_CONTINUE_UNWIND; /* gcc never gives a landing-pad base here */
    if (*p++ != PE_OMIT)
        uleb(&p);
    unsigned char enc = *p++;
    uintptr_t len = uleb(&p);
    const unsigned char *end = p + len;
    while (p < end) {
        uintptr_t from = encoded(&p, enc), n = encoded(&p, enc), pad = encoded(&p, enc);
        uleb(&p);
        if (ip < from || ip >= from + n)
            continue;
        if (!pad)
            break;
        set_gr(ctx, __builtin_eh_return_data_regno(0), (_Unwind_Word)exc);
        set_gr(ctx, __builtin_eh_return_data_regno(1), 0);
        set_ip(ctx, base + pad);
        return _URC_INSTALL_CONTEXT;
    }
    return _URC_CONTINUE_UNWIND;
}

/* Landing pads end here. */
__attribute__((used)) void _Unwind_Resume(struct _Unwind_Exception *exc)
{
    __typeof__(_Unwind_Resume) *real = gt_libgcc("_Unwind_Resume");
    real(exc);
    __builtin_unreachable();
}
