import http from "node:http";
import { startTestServer, type TestServer } from "./test_server.ts";

/** A server's response: its status, and its body as text. */
export interface SpoiledResponse {
  readonly status: number;
  readonly body: string;
}

/**
 * Passes requests on to a server unchanged, and spoils its responses; all headers stay except the
 * body's length.
 */
export function startFaultyService(
  target: string,
  spoil: (response: SpoiledResponse) => SpoiledResponse | Promise<SpoiledResponse>,
): Promise<TestServer> {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((incoming, outgoing) => {
    const { method, headers, url = "" } = incoming;
    const forwarded = http.request(target + url, { method, headers, agent }, (response) => {
      const parts: Uint8Array[] = [];
      response.on("data", (part: Uint8Array) => parts.push(part));
      response.on("end", async () => {
        const spoiled = await spoil({
          status: response.statusCode ?? 0,
          body: Buffer.concat(parts).toString("utf8"),
        });
        const { "content-length": _length, "transfer-encoding": _coding, ...kept } =
          response.headers;
        outgoing.writeHead(spoiled.status, kept);
        outgoing.end(spoiled.body);
      });
    });
    forwarded.on("error", () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  return startTestServer(server, () => agent.destroy());
}
