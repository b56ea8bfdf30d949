(* SPDX-License-Identifier: BSD-2-Clause *)
(* OCaml's threads: a master lock that a signal makes them hand over, channels, pipes, fork. *)
let () =
  let m = Mutex.create () and n = ref 0 in
  let count () =
    for _ = 1 to 200 do
      Mutex.lock m; incr n; Mutex.unlock m; Thread.yield ()
    done;
    Thread.delay 0.01 in
  List.iter Thread.join (List.init 20 (fun _ -> Thread.create count ()));
  assert (!n = 4000);
  let r, w = Unix.pipe () in
  let got = Bytes.create 5 in
  let t = Thread.create (fun () -> assert (Unix.read r got 0 5 = 5)) () in
  Thread.delay 0.02;
  assert (Unix.write_substring w "hello" 0 5 = 5);
  Thread.join t;
  assert (Bytes.to_string got = "hello");
  let c = Event.new_channel () in
  let t = Thread.create (fun () -> Event.sync (Event.send c 42)) () in
  assert (Event.sync (Event.receive c) = 42);
  Thread.join t;
  let spin () = let x = ref 0 in for i = 1 to 20_000_000 do x := !x + i done in
  List.iter Thread.join (List.init 4 (fun _ -> Thread.create spin ()));
  Gc.full_major ();
  let p = Unix.fork () in
  if p = 0 then begin
    Thread.join (Thread.create (fun () -> ()) ());
    Unix._exit 0
  end else assert (snd (Unix.waitpid [] p) = Unix.WEXITED 0);
  print_endline "all right"
