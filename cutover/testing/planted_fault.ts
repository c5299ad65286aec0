import { createServer } from "node:http";
import { type ReceivedResponse, send } from "../parity/exchange.ts";
import { startTestServer, type TestServer } from "../../testing/test_server.ts";

/** Starts a proxy before a server; `spoil` changes the server's responses. */
export function startFaultyProxy(
  target: string,
  spoil: (response: ReceivedResponse) => ReceivedResponse,
): Promise<TestServer> {
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
  return startTestServer(server);
}
