%% SPDX-License-Identifier: BSD-2-Clause
%% Erlang's machine: schedulers of its own on threads, machine code that keeps its heap below the
%% stack pointer, asynchronous file threads, ports, its poll thread.
-module(beam).
-export([main/0]).

main() ->
    Self = self(),
    N = 2000,
    [spawn(fun() -> receive {go, P} -> P ! I * 2 end end) ! {go, Self} || I <- lists:seq(1, N)],
    N * (N + 1) =:= lists:sum([receive X -> X end || _ <- lists:seq(1, N)]) orelse halt(1),
    {ok, L} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(L),
    [spawn(fun() -> echo(L) end) || _ <- lists:seq(1, 10)],
    Clients = [spawn_monitor(fun() -> client(Port) end) || _ <- lists:seq(1, 10)],
    done(Clients),
    File = "beam.data",
    Data = binary:copy(<<"0123456789">>, 100000),
    ok = file:write_file(File, Data),
    {ok, Data} = file:read_file(File),
    ok = file:delete(File),
    "hi\n" = os:cmd("echo hi"),
    %% lists that a collection moves while the schedulers are preempted
    done([spawn_monitor(fun() -> churn(200) end) || _ <- lists:seq(1, 8)]),
    timer:sleep(20),
    io:format("all right~n"),
    init:stop().

done(All) ->
    [receive {'DOWN', R, process, P, normal} -> ok end || {P, R} <- All].

echo(L) ->
    {ok, C} = gen_tcp:accept(L),
    {ok, B} = gen_tcp:recv(C, 0),
    ok = gen_tcp:send(C, B),
    gen_tcp:close(C).

client(Port) ->
    {ok, C} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    ok = gen_tcp:send(C, <<"hello">>),
    {ok, <<"hello">>} = gen_tcp:recv(C, 5),
    gen_tcp:close(C).

churn(0) -> ok;
churn(N) ->
    L = lists:seq(1, 2000),
    2001000 = lists:foldl(fun(A, B) -> A + B end, 0, lists:map(fun(X) -> X end, L)),
    churn(N - 1).
