// SPDX-License-Identifier: BSD-2-Clause
// The JVM, which stops its threads by protecting a page that they read: COUNT platform threads at
// once, a thread for each connection of a server, collections while threads allocate, spin and
// block, faults that become exceptions, deep recursion, a child.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;

public class Threads {
    static void check(boolean ok, String what) {
        if (ok)
            return;
        System.err.println("not so: " + what);
        Runtime.getRuntime().halt(1);
    }

    interface Body {
        void run() throws Exception;
    }

    static Thread go(Body b) {
        Thread t = new Thread(() -> {
            try {
                b.run();
            } catch (Exception e) {
                e.printStackTrace();
                check(false, "no exception");
            }
        });
        t.start();
        return t;
    }

    static void joinAll(List<Thread> all) throws Exception {
        for (Thread t : all)
            t.join();
    }

    static String kernelThreads() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("Threads:"))
                return line.substring(8).trim();
        return "?";
    }

    static void many(int count, boolean dump) throws Exception {
        CountDownLatch up = new CountDownLatch(count), leave = new CountDownLatch(1);
        List<Thread> all = new ArrayList<>();
        for (int i = 0; i < count; i++)
            all.add(go(() -> {
                up.countDown();
                leave.await();
            }));
        up.await();
        System.out.println("kernel=" + kernelThreads());
        if (dump) { // the JVM prints its threads on SIGQUIT
            new ProcessBuilder("kill", "-QUIT", "" + ProcessHandle.current().pid()).start().waitFor();
            Thread.sleep(500);
        }
        leave.countDown();
        joinAll(all);
    }

    static void echo(Socket c) throws IOException {
        try (c; BufferedReader in = new BufferedReader(new InputStreamReader(c.getInputStream()))) {
            for (String line; (line = in.readLine()) != null;)
                c.getOutputStream().write((line.toUpperCase() + "\n").getBytes());
        }
    }

    static void server(int clients) throws Exception {
        AtomicInteger good = new AtomicInteger();
        ServerSocket s = new ServerSocket(0);
        Thread acceptor = go(() -> {
            for (int i = 0; i < clients; i++) {
                Socket c = s.accept();
                go(() -> echo(c));
            }
        });
        List<Thread> all = new ArrayList<>();
        for (int i = 0; i < clients; i++) {
            String word = "word" + i;
            all.add(go(() -> {
                try (Socket c = new Socket("127.0.0.1", s.getLocalPort())) {
                    BufferedReader in = new BufferedReader(new InputStreamReader(c.getInputStream()));
                    for (int k = 0; k < 10; k++) {
                        c.getOutputStream().write((word + "\n").getBytes());
                        check(in.readLine().equals(word.toUpperCase()), "echo");
                    }
                    good.incrementAndGet();
                }
            }));
        }
        joinAll(all);
        acceptor.join();
        check(good.get() == clients, "all clients served");
    }

    static void allocate() {
        List<byte[]> kept = new ArrayList<>();
        for (int k = 0; k < 10000; k++) {
            kept.add(new byte[2000]);
            if (kept.size() > 500)
                kept.clear();
        }
    }

    static int deep(int n) {
        try {
            return deep(n + 1);
        } catch (StackOverflowError e) {
            return n;
        }
    }

    static void faults() {
        Object none = null;
        for (int i = 0; i < 2000; i++)
            try {
                none.hashCode();
                check(false, "an exception");
            } catch (NullPointerException e) {
                continue;
            }
    }

    public static void main(String[] args) throws Exception {
        many(Integer.parseInt(args[0]), args.length > 1);
        server(100);
        List<Thread> all = new ArrayList<>();
        for (int i = 0; i < 6; i++)
            all.add(go(Threads::allocate));
        for (int i = 0; i < 2; i++)
            all.add(go(Threads::faults));
        Thread spins = go(() -> {
            while (!Thread.currentThread().isInterrupted())
                Thread.onSpinWait();
        });
        for (int i = 0; i < 3; i++)
            System.gc();
        joinAll(all);
        spins.interrupt();
        spins.join();
        check(LongStream.range(0, 1000000).parallel().sum() == 499999500000L, "stream");
        check(deep(0) > 500, "recursion");
        Process p = new ProcessBuilder("echo", "hi").start();
        check(new BufferedReader(new InputStreamReader(p.getInputStream())).readLine().equals("hi"),
              "child");
        System.out.println("all right");
    }
}
