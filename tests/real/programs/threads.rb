# SPDX-License-Identifier: BSD-2-Clause
# Ruby's threads: queues, sockets, timeouts that interrupt sleeps and loops, kill and raise, fork,
# collections, fibers in threads, Ractors, a signal.
require "socket"
require "timeout"

def check(ok, what)
  return if ok
  warn "not so: #{what}"
  exit! 1
end

jobs = Queue.new
results = Queue.new
workers = 8.times.map { Thread.new { while (x = jobs.pop) != :end do results << x * x end } }
1000.times { |i| jobs << i }
8.times { jobs << :end }
workers.each(&:join)
check 1000.times.sum { results.pop } == 332_833_500, "sum of squares"

lock = Mutex.new
n = 0
50.times.map { Thread.new { 200.times { lock.synchronize { n += 1 } } } }.each(&:join)
check n == 10_000, "counter"

server = TCPServer.new("127.0.0.1", 0)
port = server.addr[1]
acceptor = Thread.new do
  20.times { Thread.new(server.accept) { |c| c.puts c.gets.upcase; c.close } }
end
answers = 20.times.map do |i|
  Thread.new { TCPSocket.open("127.0.0.1", port) { |c| c.puts "line #{i}"; c.gets.chomp } }
end.map(&:value)
acceptor.join
check answers == 20.times.map { |i| "LINE #{i}" }, "echo"

[-> { sleep 10 }, -> { loop {} }, -> { Queue.new.pop }].each do |body|
  late = begin
    Timeout.timeout(0.1) { body.call }
  rescue Timeout::Error
    :late
  end
  check late == :late, "timeout"
end

sleeper = Thread.new { sleep }
Thread.pass until sleeper.stop?
sleeper.kill.join
raised = Thread.new { begin; sleep; rescue => e; e.message; end }
Thread.pass until raised.stop?
raised.raise "boo"
check raised.value == "boo", "raise"

check `echo hi` == "hi\n", "command"
pid = fork { Thread.new { exit! 3 }.join }
Process.wait pid
check $?.exitstatus == 3, "thread in a child"
check IO.popen("cat", "r+") { |io| io.write "abc"; io.close_write; io.read } == "abc", "popen"

10.times.map { Thread.new { x = []; 3000.times { |k| x << "s" * k }; GC.start } }.each(&:join)
check Thread.new { f = Fiber.new { Fiber.yield 1; 2 }; [f.resume, f.resume] }.value == [1, 2], "fiber"

$VERBOSE = nil
ractors = 4.times.map { |i| Ractor.new(i) { |x| (1..20_000).sum + x } }
check ractors.map(&:take) == 4.times.map { |i| 200_010_000 + i }, "ractors"

got = Queue.new
trap("USR1") { Thread.new { got << 1 } }
Process.kill "USR1", $$
check got.pop == 1, "signal"
puts "all right"
