// The least that a server on Deno does for the health answer: what is left to win.
const port = Number(Deno.args[0]);
Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => {
  const body = JSON.stringify({ status: "ok", timestamp: new Date().toISOString() });
  return new Response(body, { headers: { "content-type": "application/json; charset=utf-8" } });
});
