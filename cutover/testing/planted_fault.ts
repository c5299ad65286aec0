import { createServer } from "node:http";
import { type ReceivedResponse, send } from "../parity/exchange.ts";

/** A server that passes requests on to another one and spoils its responses. */
export interface FaultyProxy extends AsyncDisposable {
  url: string;
}

/** Starts a proxy on a free port of 127.0.0.1; `spoil` changes the target's responses. */
export async function startFaultyProxy(
  target: string,
  spoil: (response: ReceivedResponse) => ReceivedResponse,
): Promise<FaultyProxy> {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { "content-length": _length, ...headers } = incoming.headers;
    const { status, headers: kept, etag, body: text } = spoil(
      await send(target, {
        method: incoming.method ?? "",
        path: incoming.url ?? "",
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, String(value)]),
        ),
        ...(body.length > 0 && { body: body.toString("base64"), encoding: "base64" }),
      }),
    );
    outgoing.writeHead(status, { ...kept, ...(etag !== undefined && { etag }) });
    outgoing.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
