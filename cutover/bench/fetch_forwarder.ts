// The minimum that a forwarder on Deno does: it fetches each request and returns the response.
const [port, target] = [Number(Deno.args[0]), Deno.args[1] ?? ""];
Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, (request) => {
  const { pathname, search } = new URL(request.url);
  const { method, headers, body } = request;
  return fetch(target + pathname + search, { method, headers, body, redirect: "manual" });
});
