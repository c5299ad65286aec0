// The minimum that a Deno server does for the health response: the upper bound for Lotline.
const port = Number(Deno.args[0]);
Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => {
  const body = JSON.stringify({ status: "ok", timestamp: new Date().toISOString() });
  return new Response(body, { headers: { "content-type": "application/json; charset=utf-8" } });
});
