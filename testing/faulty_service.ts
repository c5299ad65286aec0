import http from "node:http";
import type { AddressInfo } from "node:net";

/** A server's response: its status, and its body as text. */
export interface SpoiledResponse {
  readonly status: number;
  readonly body: string;
}

/** A proxy between a gateway and Lotline. */
export interface FaultyService extends AsyncDisposable {
  readonly url: string;
}

/**
 * Passes requests on to a server unchanged, and spoils its responses; all headers stay except the
 * body's length.
 */
export async function startFaultyService(
  target: string,
  spoil: (response: SpoiledResponse) => SpoiledResponse | Promise<SpoiledResponse>,
): Promise<FaultyService> {
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
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
