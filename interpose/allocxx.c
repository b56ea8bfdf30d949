/* SPDX-License-Identifier: BSD-2-Clause
 *
 * C++'s operator new and delete, in all their forms.   Source: the C++ standard, [new.delete];
 * names as the Itanium ABI mangles them.
 *
 * As in the C++ library, each form comes down to new(size) and delete(pointer), or to their aligned
 * ones, as the program sees them: it may have replaced those two alone.
 *
 * Out of memory: the program's new_handler is called until there is none, then bad_alloc is thrown
 * by the program's own C++ library; both are looked up then, so that a C program never loads one.
 */
#include "interpose/alloc.h"

void *_Znwm(size_t n);
void *_ZnwmSt11align_val_t(size_t n, size_t align);
void _ZdlPv(void *p);
void _ZdlPvSt11align_val_t(void *p, size_t align);

#define PC() ((uintptr_t)__builtin_return_address(0))

/* Calls the new_handler.  False: there is none. */
static bool call_handler(void)
{
    typedef void (*handler)(void);
    typedef handler (*getter)(void);
    getter get = (getter)dlsym(RTLD_DEFAULT, "_ZSt15get_new_handlerv");
    handler h = get ? get() : NULL;
    if (h)
        h();
    return h != NULL;
}

static GT_NOINLINE void *new_slow(size_t n, size_t align, bool may_throw, uintptr_t pc)
{
    do {
        void *p = align ? gt_alloc_aligned(align, n, pc) : gt_alloc(n, pc);
        if (p)
            return p;
    } while (call_handler());
    if (!may_throw)
        return NULL;
    void (*f)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv");
    if (f)
        f();
    gt_fatal("operator new: no memory, and no C++ library to say so", 0, 0);
}

GT_EXPORT void *_Znwm(size_t n)
{
    void *p = gt_quick_malloc(gt_tls.mcache, n);
    if (likely(p != NULL))
        return p;
    return gt_alloc_ours() ? new_slow(n, 0, true, PC()) : REAL(_Znwm)(n);
}

GT_EXPORT void _ZdlPv(void *p)
{
    if (likely(gt_quick_free(gt_tls.mcache, p)))
        return;
    if (gt_alloc_ours())
        gt_alloc_free(p, PC());
    else
        REAL(_ZdlPv)(p);
}

GT_EXPORT void *_ZnwmSt11align_val_t(size_t n, size_t align)
{
    return gt_alloc_ours() ? new_slow(n, align, true, PC()) : REAL(_ZnwmSt11align_val_t)(n, align);
}

GT_EXPORT void _ZdlPvSt11align_val_t(void *p, size_t align)
{
    if (gt_alloc_ours())
        gt_alloc_free(p, PC());
    else
        REAL(_ZdlPvSt11align_val_t)(p, align);
}

/* Has the program left the form alone that everything comes down to? */
static bool is_own(void *seen, void *own)
{
    __asm__("" : "+r"(seen)); /* what the dynamic linker has found, not what the compiler knows */
    return seen == own;
}
extern __typeof__(_Znwm) gt_own_new __attribute__((alias("_Znwm"), visibility("hidden")));
extern __typeof__(_ZnwmSt11align_val_t) gt_own_new_aligned
    __attribute__((alias("_ZnwmSt11align_val_t"), visibility("hidden")));

/* Without throwing: the program's own new would have to be caught, which is its library's work. */
static void *new_nothrow(size_t n, const void *t, void *(*real)(size_t, const void *), uintptr_t pc)
{
    void *p;
    if (!is_own((void *)_Znwm, (void *)gt_own_new) || !gt_alloc_ours())
        return real(n, t);
    return (p = gt_quick_malloc(gt_tls.mcache, n)) ? p : new_slow(n, 0, false, pc);
}

static void *new_aligned_nothrow(size_t n, size_t align, const void *t,
                                 void *(*real)(size_t, size_t, const void *), uintptr_t pc)
{
    if (!is_own((void *)_ZnwmSt11align_val_t, (void *)gt_own_new_aligned) || !gt_alloc_ours())
        return real(n, align, t);
    return new_slow(n, align, false, pc);
}

#define FORM(ret, name, params, body)                                                              \
    ret name params;                                                                               \
    GT_EXPORT ret name params                                                                      \
    {                                                                                              \
        body;                                                                                      \
    }

/* clang-format off */
FORM(void *, _Znam, (size_t n), return _Znwm(n))
FORM(void *, _ZnamSt11align_val_t, (size_t n, size_t a), return _ZnwmSt11align_val_t(n, a))
FORM(void *, _ZnwmRKSt9nothrow_t, (size_t n, const void *t),
     return new_nothrow(n, t, REAL(_ZnwmRKSt9nothrow_t), PC()))
FORM(void *, _ZnamRKSt9nothrow_t, (size_t n, const void *t),
     return new_nothrow(n, t, REAL(_ZnamRKSt9nothrow_t), PC()))
FORM(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t n, size_t a, const void *t),
     return new_aligned_nothrow(n, a, t, 
                                REAL(_ZnwmSt11align_val_tRKSt9nothrow_t), PC()))
FORM(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t n, size_t a, const void *t),
     return new_aligned_nothrow(n, a, t, 
                                REAL(_ZnamSt11align_val_tRKSt9nothrow_t), PC()))
FORM(void, _ZdaPv, (void *p), _ZdlPv(p))
FORM(void, _ZdlPvm, (void *p, size_t n), (void)n; _ZdlPv(p))
FORM(void, _ZdaPvm, (void *p, size_t n), (void)n; _ZdlPv(p))
FORM(void, _ZdlPvRKSt9nothrow_t, (void *p, const void *t), (void)t; _ZdlPv(p))
FORM(void, _ZdaPvRKSt9nothrow_t, (void *p, const void *t), (void)t; _ZdlPv(p))
FORM(void, _ZdaPvSt11align_val_t, (void *p, size_t a), _ZdlPvSt11align_val_t(p, a))
FORM(void, _ZdlPvmSt11align_val_t, (void *p, size_t n, size_t a),
     (void)n; _ZdlPvSt11align_val_t(p, a))
FORM(void, _ZdaPvmSt11align_val_t, (void *p, size_t n, size_t a),
     (void)n; _ZdlPvSt11align_val_t(p, a))
FORM(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t a, const void *t),
     (void)t; _ZdlPvSt11align_val_t(p, a))
FORM(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t a, const void *t),
     (void)t; _ZdlPvSt11align_val_t(p, a))
/* clang-format on */
