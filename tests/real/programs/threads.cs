// SPDX-License-Identifier: BSD-2-Clause
// Mono's threads: a collector that suspends them, monitors, tasks, the thread pool.
using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

class Threads
{
    static int n;
    static readonly object key = new object();

    static void Check(bool ok, string what)
    {
        if (ok)
            return;
        Console.Error.WriteLine("not so: " + what);
        Environment.Exit(1);
    }

    static void Count()
    {
        for (int k = 0; k < 200; k++)
            lock (key)
                n += new byte[1000].Length / 1000;
    }

    static void Main()
    {
        var all = Enumerable.Range(0, 50).Select(i => new Thread(Count)).ToArray();
        foreach (var t in all)
            t.Start();
        for (int i = 0; i < 5; i++)
            GC.Collect();
        foreach (var t in all)
            t.Join();
        Check(n == 10000, "counter");
        var sum = Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            await Task.Delay(10);
            return i;
        })).Result.Sum();
        Check(sum == 19900, "tasks");
        long q = 0;
        Parallel.For(0, 1000, i => Interlocked.Add(ref q, i));
        Check(q == 499500, "parallel loop");
        var go = new ManualResetEvent(false);
        var done = new CountdownEvent(10);
        for (int i = 0; i < 10; i++)
            ThreadPool.QueueUserWorkItem(_ => { go.WaitOne(); done.Signal(); });
        go.Set();
        done.Wait();
        Console.WriteLine("all right");
    }
}
