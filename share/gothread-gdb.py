# SPDX-License-Identifier: BSD-2-Clause
"""gdb commands for a process that libgothread.so is preloaded into, or for its core file.

    (gdb) source gothread-gdb.py
    (gdb) info goroutines          id, state, M, creator and first frame of each
    (gdb) goroutine 7 bt           the backtrace of one, parked or running
    (gdb) goroutine all bt 8       of all, at most 8 frames each
    (gdb) goroutine 7 up 3         any other command, on that goroutine's stack

How a parked goroutine is shown: its callee-saved registers lie on its stack, where gt_arch_switch
left them.  No register of the process is written, which a core file would not allow: while a
command runs on a goroutine, an unwinder of ours says that the caller of the selected thread's
innermost frame is that goroutine.  That frame is then left out of what is printed.

A running goroutine is the kernel thread that runs it, so that one is selected.  Debugging
information of libgothread.so is needed (it is built with -g and installed with it).
"""
import re

import gdb
import gdb.unwinder

# enum gt_gstatus
IDLE, READY, RUN, CALL, PARK, DEAD = range(6)
STATES = ["idle", "runnable", "running", "syscall", "waiting", "dead, not joined"]
# What gt_arch_switch pushed, low to high: GT_CTX_* in core/arch/x86_64/ctx.h
SAVED = ["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"]


def word(address):
    """The 64-bit word at an address of the process."""
    data = gdb.selected_inferior().read_memory(address, 8)
    return int.from_bytes(bytes(data), "little")


class Goroutine:
    """A moment's picture of one struct gt_g."""

    def __init__(self, g):
        self.g = g
        self.id = int(g["goid"])
        self.status = int(g["status"])

    @property
    def m(self):
        """The struct gt_m that runs it, or None."""
        m = self.g["m"]
        if self.status in (RUN, CALL) and int(m):
            return m.dereference()
        return None

    def thread(self):
        """gdb's thread for the kernel thread that runs it, or None."""
        if self.m is None:
            return None
        tid = int(self.m["ktid"])
        for t in gdb.selected_inferior().threads():
            if t.ptid[1] == tid:
                return t
        return None

    def registers(self):
        """The saved registers of one that does not run, or None."""
        if self.status not in (READY, PARK):
            return None
        sp = int(self.g["ctx"]["sp"])
        regs = {name: word(sp + 8 * i) for i, name in enumerate(SAVED)}
        regs["rsp"] = sp + 8 * len(SAVED)
        return regs

    def state(self):
        if self.status == PARK:
            return wait_reason(int(self.g["waitreason"]))
        return STATES[self.status]

    def header(self):
        name = self.g["name"].string()
        text = "goroutine %d%s [%s" % (self.id, ' "%s"' % name if name else "", self.state())
        if self.m is not None:
            text += ", M%d LWP %d" % (int(self.m["id"]), int(self.m["ktid"]))
        return text + "]"

    def creator(self):
        parent = int(self.g["parent"])
        return "created by goroutine %d at %s" % (parent, symbol(int(self.g["created_pc"]))) \
            if parent else ""


def static(name, file):
    """The value of a static variable of core/sched, whatever the program's language; or None."""
    for s in gdb.lookup_static_symbols(name):
        if s.symtab is not None and s.symtab.filename.endswith("core/sched/" + file):
            return s.value()
    return None


def wait_reason(n):
    """The text of an enum gt_reason: an array of dump.c holds it."""
    texts = static("reason_text", "dump.c")
    return texts[n].string() if texts is not None else "waiting"


def symbol(pc):
    """<name+offset>, or the bare address."""
    text = gdb.execute("info symbol 0x%x" % pc, to_string=True).strip()
    m = re.match(r"(.+?) in section", text)
    return m.group(1) if m else "0x%x" % pc


def goroutines():
    """All that are alive, or dead and not joined yet; oldest first."""
    records, started = static("R", "proc.c"), gdb.lookup_global_symbol("gt_started")
    if records is None or started is None:
        raise gdb.GdbError("no goroutines here: libgothread.so is not loaded, or has no "
                           "debugging information")
    g = records["all"]
    if not int(started.value()):
        return []
    found = []
    while int(g):
        v = g.dereference()
        if int(v["status"]) != IDLE:
            found.append(Goroutine(v))
        g = v["alllink"]
    return sorted(found, key=lambda x: x.id)


class FrameId:
    """What gdb knows a frame by."""

    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class ParkedUnwinder(gdb.unwinder.Unwinder):
    """While `registers` is set: they are the caller's of the innermost frame."""

    def __init__(self):
        super().__init__("gothread")
        self.registers = None

    def __call__(self, pending):
        if self.registers is None:
            return None
        pc = pending.read_register("rip")
        sp = pending.read_register("rsp")
        if (int(pc), int(sp)) != self.innermost:
            return None
        # stacks of goroutines lie anywhere, and gdb wants callers above: this frame is below all
        kind = gdb.lookup_type("unsigned long")
        info = pending.create_unwind_info(FrameId(gdb.Value(16).cast(kind), pc))
        for name, value in self.registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info

    def show(self, registers):
        """Starts to show these registers; None: shows what is."""
        self.registers = None
        gdb.invalidate_cached_frames()
        if registers is not None:
            frame = gdb.newest_frame()
            self.innermost = (int(frame.read_register("rip")), int(frame.read_register("rsp")))
            self.registers = registers
            gdb.invalidate_cached_frames()


UNWINDER = ParkedUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def outermost_of_thread():
    """While a parked goroutine is shown: the frame whose caller it is, and how many lie above."""
    frame, above = gdb.newest_frame(), 0
    while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
        frame, above = frame.older(), above + 1
    return frame, above


def renumber(text, drop):
    """A backtrace without its first frames."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("#")]
    if len(starts) <= drop:
        return ""
    out = []
    for line in lines[starts[drop]:]:
        m = re.match(r"#(\d+)( *)(.*)", line)
        out.append("#%-2d %s" % (int(m.group(1)) - drop, m.group(3)) if m else line)
    return "\n".join(out)


class On:
    """with On(goroutine) as parked: commands see its stack; parked: one frame too many."""

    def __init__(self, goroutine):
        self.regs = goroutine.registers()
        self.thread = goroutine.thread()
        if self.regs is None and self.thread is None:
            raise gdb.GdbError("goroutine %d has no stack to show [%s]" %
                               (goroutine.id, goroutine.state()))

    def __enter__(self):
        self.before = gdb.selected_thread()
        if self.regs is None:
            self.thread.switch()
        UNWINDER.show(self.regs)
        return self.regs is not None

    def __exit__(self, *exc):
        UNWINDER.show(None)
        if self.before is not None and self.before.is_valid():
            self.before.switch()


def run(goroutine, command):
    """A command's output on that goroutine's stack."""
    with On(goroutine) as parked:
        if not parked:
            return gdb.execute(command, to_string=True).rstrip()
        frame, above = outermost_of_thread()
        m = re.match(r"(?:bt|backtrace|where)\b(.*)", command)
        if m:
            n = re.match(r"(.*?)(\d+)\s*$", m.group(1))
            rest = "%s%d" % (n.group(1), int(n.group(2)) + above + 1) if n else m.group(1)
            return renumber(gdb.execute("backtrace" + rest, to_string=True), above + 1)
        caller = frame.older()
        if caller is not None:
            caller.select()
        return gdb.execute(command, to_string=True).rstrip()


def first_frame(goroutine):
    """The innermost function that is not the runtime's."""
    try:
        with On(goroutine) as parked:
            frame = outermost_of_thread()[0].older() if parked else gdb.newest_frame()
            last = None
            for _ in range(40):
                if frame is None:
                    break
                pc = frame.pc()
                last = frame.name() or symbol(pc)
                if "libgothread" not in (gdb.solib_name(pc) or ""):
                    break
                frame = frame.older()
            return last or "?"
    except (gdb.error, gdb.GdbError):
        return "?"


class InfoGoroutines(gdb.Command):
    """List the goroutines of a preloaded process: info goroutines [ID...]"""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        wanted = [int(x) for x in gdb.string_to_argv(arg)]
        here = gdb.selected_thread()
        for g in goroutines():
            if wanted and g.id not in wanted:
                continue
            thread = g.thread()
            mark = "*" if here is not None and thread is not None and \
                thread.ptid == here.ptid else " "
            print("%s %-60s %s%s" % (mark, g.header(), first_frame(g),
                                     "  " + g.creator() if g.creator() else ""))


class GoroutineCommand(gdb.Command):
    """Run a command on a goroutine's stack: goroutine ID|all [COMMAND]   (COMMAND: bt)"""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, arg, from_tty):
        words = arg.split(None, 1)
        if not words or not (words[0] == "all" or words[0].isdigit()):
            raise gdb.GdbError("usage: goroutine ID|all [COMMAND]")
        command = words[1].strip() if len(words) > 1 else "bt"
        everyone = words[0] == "all"
        chosen = [g for g in goroutines() if everyone or g.id == int(words[0])]
        if not chosen:
            raise gdb.GdbError("no goroutine %s" % words[0])
        for g in chosen:
            if everyone:
                print("%s:" % g.header())
            try:
                print(run(g, command))
            except gdb.GdbError as e:
                if not everyone:
                    raise
                print("  (%s)" % e)
            if everyone:
                print((g.creator() + "\n").lstrip())


InfoGoroutines()
GoroutineCommand()
