// The server behind the compared forwarders: it immediately sends a response as long as a usual
// trace.
const body = JSON.stringify({ central: "x".repeat(320), parents: ["y".repeat(320)], children: [] });
const headers = { "content-type": "application/json; charset=utf-8" };
Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen() {} },
  () => new Response(body, { headers }),
);
